"""Read columns as text although their cells look like something else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Protocol

from datarobot_drum.drum.tabular.lazy_pandas import pd
from datarobot_drum.drum.tabular.missing_values import MISSING_VALUES


class TextColumns(Protocol):
    """What the model knows of the columns that a reader reads. Only an empty cell is missing in a column of text."""

    @property
    def names(self) -> Sequence[str] | None:
        """The names that the model has for its columns, in its order; None without names."""

    @property
    def declared_names(self) -> Sequence[str]:
        """The names that the owner of the model declared, in that order."""

    @property
    def has_text(self) -> bool:
        """True if there may be columns that are read as text."""

    def text_columns(self, names: Sequence[str]) -> tuple[int, ...]:
        """Return the positions of the columns that are read as written, where only an empty cell is missing."""

    def number_columns(self, names: Sequence[str]) -> tuple[int, ...]:
        """Return the positions of the columns whose texts stand for numbers or booleans."""

    def names_of(self, width: int) -> tuple[str, ...] | None:
        """Return the names of the columns of rows without names; None if the model does not know them."""


def csv_options(columns: Sequence[str], positions: Sequence[int]) -> Mapping[str, Any]:
    """Return the options with which ``pandas.read_csv`` reads some columns as text; the others as by default."""
    if not positions:
        return {}
    text = {columns[position] for position in positions}
    words = {name: [""] if name in text else list(MISSING_VALUES) for name in columns}
    return {"dtype": dict.fromkeys(text, str), "keep_default_na": False, "na_values": words}


@cache
def text_type() -> Any:
    """Return the type of text columns that ``pandas.read_csv`` makes, whose missing cells are NaN."""
    return pd.Series([""]).dtype
