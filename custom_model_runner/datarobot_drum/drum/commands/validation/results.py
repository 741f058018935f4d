"""What the checks of a model come to."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

SUCCESS, FAILURE = 0, 1


class Status(str, Enum):
    """The words of the table."""

    PASSED = "PASSED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"


@dataclass(frozen=True)
class SampleRows:
    """The rows that show a failure, as text: what they are, names of the columns, and their cells."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class CheckResult:
    """What one check found, of one feature if it has a ``subject``.

    ``exit_code`` is that of the command if the check failed.
    """

    check: str
    status: Status
    detail: str = ""
    feature: str = ""
    sample_rows: SampleRows | None = None
    exit_code: int = FAILURE

    @property
    def title(self) -> str:
        return f"{self.check}: {self.feature}" if self.feature else self.check


def exit_code_of(results: Sequence[CheckResult]) -> int:
    """That of the gravest failure: a schema that does not hold (3) says more than another failure (1)."""
    return max((result.exit_code for result in results if result.status is Status.FAILED), default=SUCCESS)


def summary(results: Sequence[CheckResult]) -> str:
    """How many there are of each verdict."""
    counts = Counter(result.status for result in results)
    words = [f"{counts[status]} {status.value.lower()}" for status in Status if counts[status]]
    return f"{len(results)} check{'' if len(results) == 1 else 's'}: {', '.join(words)}."
