"""The outcomes as a table of plain text."""

from collections.abc import Sequence

from datarobot_drum.drum.commands.validation.results import CheckResult, summary
from datarobot_drum.runtime_parameters import mask_secrets

_HEADER = ("check", "result", "details")


def table(outcomes: Sequence[CheckResult]) -> str:
    """A line an outcome, in columns, and how many there are of each."""
    lines = [_HEADER, *((outcome.title, outcome.verdict.value, _line(outcome.detail)) for outcome in outcomes)]
    widths = [max(len(line[place]) for line in lines) for place in range(2)]
    text = [f"{line[0]:{widths[0]}}  {line[1]:{widths[1]}}  {line[2]}".rstrip() for line in lines]
    return "\n".join([*text, "", summary(outcomes), ""])


def _line(text: str) -> str:
    return mask_secrets(" ".join(text.split()))
