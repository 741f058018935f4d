"""Read columns as text although their cells look like something else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from datarobot_drum.drum.tabular.missing_values import MISSING_VALUES


class TextColumns(Protocol):
    """The columns of a model: those that a reader reads as text, as they are written, and names where they are known.

    Only an empty cell is missing in a column of text.
    """

    @property
    def names(self) -> Sequence[str] | None:
        """The names that the model has for its columns, in its order; None without names."""

    @property
    def declared_names(self) -> Sequence[str]:
        """The names that the owner of the model declared, in that order."""

    @property
    def has_text(self) -> bool:
        """True if there may be such columns."""

    def text_columns(self, names: Sequence[str]) -> tuple[int, ...]:
        """Return their positions among the columns of a table."""


def csv_options(columns: Sequence[str], positions: Sequence[int]) -> Mapping[str, Any]:
    """Return the options with which ``pandas.read_csv`` reads some columns as text; the others as by default."""
    if not positions:
        return {}
    text = {columns[position] for position in positions}
    words = {name: [""] if name in text else list(MISSING_VALUES) for name in columns}
    return {"dtype": dict.fromkeys(text, str), "keep_default_na": False, "na_values": words}
