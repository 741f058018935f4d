"""Recognise a table in a decoded JSON document, by its content.

==========================================================  ==================================================
``[{"a": 1}, {"a": 2}]``, ``{"a": 1}``                      records; JSON lines are a list of them
``[[1, 2], [3, 4]]``                                        rows, in the order of the model's columns
``{"a": [1, 2]}``, ``{"a": {"0": 1, "1": 2}}``              columns
``{"columns": ["a"], "data": [[1]], "index": [0]}``         split; the index is not used
``{"instances": ...}``, ``{"inputs": ...}``                 TensorFlow Serving, Vertex: any of the above, or values
``{"dataframe_records": ...}``, ``{"dataframe_split": ..}``  MLflow
==========================================================  ==================================================

A key that only some records have is a missing cell in the others. A model whose columns have the names of a dialect's
keys gets columns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datarobot_drum.drum.exceptions import EmptyTable, UnprocessableInput
from datarobot_drum.drum.settings.limits import UNLIMITED, InputLimits
from datarobot_drum.drum.tabular.column_hints import list_names, quote_names
from datarobot_drum.drum.tabular.json_limits import check_cell_count
from datarobot_drum.drum.tabular.table_limits import check_lines, check_width
from datarobot_drum.drum.tabular.text_columns import TextColumns
from datarobot_drum.drum.tabular.typed_frames import to_typed_frame

if TYPE_CHECKING:
    import pandas as pd

OPTIONS = ("signature_name", "parameters", "params")
"""Keys beside those of a dialect. Models take none, so only their defaults are accepted."""

_DEFAULT_SIGNATURE = "serving_default"
_SPLIT = frozenset({"columns", "data", "index"})
_FORMS = (
    "send records ([{...}, ...]), columns ({name: [...], ...}), or one of instances, inputs, dataframe_split and "
    "dataframe_records"
)


@dataclass(frozen=True)
class JsonTable:
    """The cells of a table as JSON has them, with unique column names."""

    names: tuple[str, ...]
    rows: list[list[Any]]

    def to_frame(self, schema: TextColumns | None) -> pd.DataFrame:
        """Return a frame with the types of JSON, and those of the schema where it has some.

        Raises:
            UnprocessableInput: a cell is an object, or a list where the schema has a type.
        """
        return to_typed_frame(self.names, list(zip(*self.rows, strict=True)), schema)


def document_to_frame(
    document: Any, schema: TextColumns | None = None, limits: InputLimits = UNLIMITED
) -> pd.DataFrame:
    """Convert a decoded JSON document to a frame, with the types of the schema where it has some.

    Raises:
        UnprocessableInput: the document is no table, or over a limit.
    """
    return find_table(document, schema, limits).to_frame(schema)


def find_table(document: Any, schema: TextColumns | None = None, limits: InputLimits = UNLIMITED) -> JsonTable:
    """Find the table in a decoded JSON document.

    Raises:
        UnprocessableInput: the document is no table, or over a limit.
    """
    reader = _Reader(schema, limits)
    if isinstance(document, list):
        return reader.read_list(document)
    if isinstance(document, dict):
        return reader.read_object(document)
    raise UnprocessableInput(f"The JSON is no table: {_FORMS}.")


def records_to_table(
    records: list[Any], schema: TextColumns | None, limits: InputLimits, names: Sequence[str] = ()
) -> JsonTable:
    """Return the table of JSON lines, with the columns ``names`` first.

    Raises:
        UnprocessableInput: as ``find_table``.
    """
    return _Reader(schema, limits).read_list(records, names)


@dataclass(frozen=True)
class _Reader:
    """Reads a document for the columns of ``schema``."""

    schema: TextColumns | None
    limits: InputLimits

    # The forms of a document

    def read_object(self, document: Mapping[str, Any]) -> JsonTable:
        key = self._dialect_of(document)
        if key is not None:
            _require_defaults(document)
            return _DIALECTS[key](self, document[key])
        if self._is_split(document):
            return self.read_split(document)
        return self.read_columns(document)

    def read_list(self, items: list[Any], names: Sequence[str] = ()) -> JsonTable:
        """Read records or rows."""
        kinds = set(map(type, items))
        if kinds == {dict}:
            return self._read_records(items, names)
        if kinds == {list}:
            return self._read_rows(items, None)
        if not kinds:
            raise EmptyTable("The JSON has no rows.", names)
        if kinds & {dict, list}:
            raise UnprocessableInput("The rows of the JSON differ: all must be objects, or all must be lists.")
        raise UnprocessableInput(f"The JSON is a list of values, which may be one row or one column: {_FORMS}.")

    def read_instances(self, value: Any) -> JsonTable:
        """Read the value of ``instances`` or ``inputs``, which may also be the values of the only column."""
        if isinstance(value, dict):
            return self.read_columns(value)
        if not isinstance(value, list):
            raise UnprocessableInput("instances and inputs must be a list of rows, or an object of columns.")
        if value and not {dict, list} & set(map(type, value)):
            return self._read_rows([[item] for item in value], None)
        return self.read_list(value)

    def read_split(self, value: Any) -> JsonTable:
        if not isinstance(value, dict) or not value.keys() <= _SPLIT or not isinstance(value.get("data"), list):
            raise UnprocessableInput(
                "The split orientation needs data, a list of rows, and may have columns and index."
            )
        columns = value.get("columns")
        return self._read_rows(value["data"], None if columns is None else _to_names(columns))

    def read_records(self, value: Any) -> JsonTable:
        if not isinstance(value, list) or set(map(type, value)) - {dict}:
            raise UnprocessableInput("dataframe_records must be a list of objects.")
        return self.read_list(value)

    def read_columns(self, document: Mapping[str, Any]) -> JsonTable:
        """Read an object of columns, each a list or an object by index; an object of values is a record."""
        names = tuple(document)
        kinds = set(map(type, document.values()))
        if not kinds & {dict, list}:
            return self._read_records([document], ())
        if kinds == {dict}:
            labels = list(next(iter(document.values())))
            if any(list(column) != labels for column in document.values()):
                raise UnprocessableInput("The columns of the JSON have different index labels.")
            columns = [list(column.values()) for column in document.values()]
        elif kinds == {list}:
            columns = list(document.values())
        else:
            raise UnprocessableInput(f"The JSON has lists beside other values: {quote_names(names)}; {_FORMS}.")
        if len(set(map(len, columns))) > 1:
            lengths = [f"{name}: {len(column)}" for name, column in zip(names, columns, strict=True)]
            raise UnprocessableInput(f"The columns of the JSON have different lengths: {list_names(lengths)}.")
        return self._table(names, [list(row) for row in zip(*columns, strict=True)])

    # Recognition

    def _dialect_of(self, document: Mapping[str, Any]) -> str | None:
        found = [key for key in _DIALECTS if key in document]
        if not found:
            return None
        others = [key for key in document if key not in (found[0], *OPTIONS)]
        if self._knows(found):
            return None
        if others:
            raise UnprocessableInput(
                f"The JSON has {found[0]}, and these keys beside it: {quote_names(others)}. Send one of "
                f"{', '.join(_DIALECTS)} alone."
            )
        return found[0]

    def _is_split(self, document: Mapping[str, Any]) -> bool:
        has_keys = {"columns", "data"} <= document.keys() <= _SPLIT
        return has_keys and not self._knows(["columns", "data"])

    def _knows(self, names: Sequence[str]) -> bool:
        """Return True if all ``names`` are columns of the model."""
        known = None if self.schema is None else self.schema.names_of(-1)
        return known is not None and set(names) <= set(known)

    # Rows

    def _read_records(self, records: Sequence[Mapping[str, Any]], first_names: Sequence[str]) -> JsonTable:
        names = tuple(first_names) or tuple(records[0])
        if all(tuple(record) == names for record in records):
            return self._table(names, [list(record.values()) for record in records])
        names = tuple(dict.fromkeys((*names, *(name for record in records for name in record))))
        self._check_size(len(records), len(names))
        return self._table(names, [list(map(record.get, names)) for record in records])

    def _read_rows(self, rows: list[Any], names: tuple[str, ...] | None) -> JsonTable:
        if set(map(type, rows)) - {list}:
            raise UnprocessableInput("Each row of the JSON must be a list of cells.")
        widths = set(map(len, rows))
        if len(widths) > 1:
            first = len(rows[0])
            number = next(number for number, row in enumerate(rows, start=1) if len(row) != first)
            raise UnprocessableInput(
                f"The rows of the JSON have different lengths: row 1 has {first} cells, row {number} has "
                f"{len(rows[number - 1])}."
            )
        width = widths.pop() if widths else 0
        if names is None:
            names = self._names_of(width) if rows else ()
        elif rows and width != len(names):
            raise UnprocessableInput(f"The rows of the JSON have {width} cells, and there are {len(names)} columns.")
        return self._table(names, rows)

    def _names_of(self, width: int) -> tuple[str, ...]:
        """Return the names of the columns of the model; numbers if it has none.

        Raises:
            UnprocessableInput: the model has another number of columns.
        """
        names = None if self.schema is None else self.schema.names_of(width)
        if names is None:
            check_width(width, self.limits)
            return tuple(map(str, range(width)))
        if len(names) != width:
            raise UnprocessableInput(
                f"The rows of the JSON have {width} cells; the model takes {len(names)} columns: {list_names(names)}. "
                "Send records to leave some out."
            )
        return tuple(names)

    def _table(self, names: tuple[str, ...], rows: list[list[Any]]) -> JsonTable:
        if not rows:
            raise EmptyTable("The JSON has no rows.", names)
        if not names:
            raise UnprocessableInput("The rows of the JSON have no cells.")
        self._check_size(len(rows), len(names))
        return JsonTable(names, rows)

    def _check_size(self, rows: int, columns: int) -> None:
        check_lines(rows, self.limits.max_rows)
        check_width(columns, self.limits)
        check_cell_count(rows, columns, self.limits)


_DIALECTS: Mapping[str, Callable[[_Reader, Any], JsonTable]] = {
    "instances": _Reader.read_instances,
    "inputs": _Reader.read_instances,
    "dataframe_split": _Reader.read_split,
    "dataframe_records": _Reader.read_records,
}


def _require_defaults(document: Mapping[str, Any]) -> None:
    """Reject options of a dialect, which the model would ignore."""
    for key in OPTIONS:
        value = document.get(key)
        if value not in (None, "", [], {}) and not (key == "signature_name" and value == _DEFAULT_SIGNATURE):
            raise UnprocessableInput(f"This model takes no {key}: leave it out.")


def _to_names(columns: Any) -> tuple[str, ...]:
    """Return column names as text; pandas numbers columns without names."""
    if not isinstance(columns, list) or not {str, int}.issuperset(map(type, columns)):
        raise UnprocessableInput("columns must be a list of names.")
    names = tuple(map(str, columns))
    if len(set(names)) < len(names):
        repeated = [name for name, count in Counter(names).items() if count > 1]
        raise UnprocessableInput(f"The columns of the JSON name {quote_names(repeated)} more than once.")
    return names
