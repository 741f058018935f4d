"""The results of the checks of a model."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from datarobot_drum.drum.exceptions import RequestError

SUCCESS, FAILURE = 0, 1


class Status(str, Enum):
    """The status of a check, as printed in the table."""

    PASSED = "PASSED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"


@dataclass(frozen=True)
class SampleRows:
    """The rows that show a failure as text: a caption, the column names and the cells."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class CheckResult:
    """The result of a check, of one feature if ``feature`` is set.

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


def describe_error(error: RequestError) -> str:
    """Return the message of an error, and the place in the model's code that it comes from."""
    location = error.location.rstrip(": ")
    return f"{error.message} ({location})" if location else error.message


def exit_code_of(results: Sequence[CheckResult]) -> int:
    """Return the exit code of the most severe failure: a schema violation (3) before others (1)."""
    return max((result.exit_code for result in results if result.status is Status.FAILED), default=SUCCESS)


def summary(results: Sequence[CheckResult]) -> str:
    """Return the number of results by status."""
    counts = Counter(result.status for result in results)
    words = [f"{counts[status]} {status.value.lower()}" for status in Status if counts[status]]
    return f"{len(results)} check{'' if len(results) == 1 else 's'}: {', '.join(words)}."
