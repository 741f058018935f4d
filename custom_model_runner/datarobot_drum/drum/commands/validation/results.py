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
    verdict: Status
    detail: str = ""
    subject: str = ""
    evidence: SampleRows | None = None
    exit_code: int = FAILURE

    @property
    def title(self) -> str:
        return f"{self.check}: {self.subject}" if self.subject else self.check


def exit_code_of(outcomes: Sequence[CheckResult]) -> int:
    """That of the gravest failure: a schema that does not hold (3) says more than another failure (1)."""
    return max((outcome.exit_code for outcome in outcomes if outcome.verdict is Status.FAILED), default=SUCCESS)


def summary(outcomes: Sequence[CheckResult]) -> str:
    """How many there are of each verdict."""
    counts = Counter(outcome.verdict for outcome in outcomes)
    words = [f"{counts[verdict]} {verdict.value.lower()}" for verdict in Status if counts[verdict]]
    return f"{len(outcomes)} check{'' if len(outcomes) == 1 else 's'}: {', '.join(words)}."
