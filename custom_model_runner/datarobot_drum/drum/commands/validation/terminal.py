"""The results as a table of plain text."""

from collections.abc import Sequence

from datarobot_drum.drum.commands.validation.results import CheckResult, summary
from datarobot_drum.runtime_parameters import mask_secrets

_HEADER = ("check", "result", "details")


def table(results: Sequence[CheckResult]) -> str:
    """Return a line per result, in columns, and the number of results by status."""
    lines = [_HEADER, *((result.title, result.status.value, _line(result.detail)) for result in results)]
    widths = [max(len(line[position]) for line in lines) for position in range(2)]
    text = [f"{line[0]:{widths[0]}}  {line[1]:{widths[1]}}  {line[2]}".rstrip() for line in lines]
    return "\n".join([*text, "", summary(results), ""])


def _line(text: str) -> str:
    return mask_secrets(" ".join(text.split()))
