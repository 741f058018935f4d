"""The results as a table on standard output."""

from collections.abc import Sequence

from datarobot_drum.drum.commands.terminal_table import print_table
from datarobot_drum.drum.commands.validation.advice import advice_for
from datarobot_drum.drum.commands.validation.results import CheckResult, summary
from datarobot_drum.runtime_parameters import mask_secrets

_HEADER = ("check", "result", "details")


def print_results(results: Sequence[CheckResult]) -> None:
    """Print a line per result, the number of results by status, and what to do about failures."""
    rows = [(result.title, result.status.value, _line(result.detail)) for result in results]
    print_table(_HEADER, rows, is_numeric=False)
    advice = {result.check: advice_for(result) for result in results if advice_for(result)}
    print("\n".join(["", summary(results), *(f"{check}: {text}" for check, text in advice.items())]))


def _line(text: str) -> str:
    return mask_secrets(" ".join(text.split()))
