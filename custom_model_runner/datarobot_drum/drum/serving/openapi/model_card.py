"""The model card: name, version, labels, columns and sample of a model, for ``/openapi.json`` and ``/playground``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datarobot_drum.drum.exceptions import PredictionError
from datarobot_drum.drum.input_schema.columns import TEXT, Column, ColumnType, InputSchema, without_blanks
from datarobot_drum.drum.input_schema.declaration import declare_columns
from datarobot_drum.drum.language_predictors.base import BasePredictor
from datarobot_drum.drum.language_predictors.json_values import records, to_plain
from datarobot_drum.drum.serving.openai_handlers import openai_methods
from datarobot_drum.drum.serving.openapi.sample_file import Sample, read_sample
from datarobot_drum.drum.settings.build import ModelSettings
from datarobot_drum.drum.settings.target_types import TargetType

if TYPE_CHECKING:
    import pandas as pd

Json = dict[str, Any]

MAX_COLUMNS, MAX_CATEGORIES, MAX_CELL = 1000, 1000, 10_000
"""Columns of a model, categories of a column and characters of a cell that are shown."""

_ANY = ColumnType.ANY.value


@dataclass(frozen=True)
class ColumnCard:
    """A column of the samples; ``categories`` are all the values that the model knows, empty if there are none."""

    name: str
    type: str = _ANY
    categories: tuple[Any, ...] = ()
    is_required: bool = True

    def to_json(self) -> Json:
        """Return what the playground reads."""
        return {
            "name": self.name,
            "type": self.type,
            "categories": list(self.categories),
            "required": self.is_required,
        }


@dataclass(frozen=True)
class ModelCard:
    """What clients may know of one model. Without a loaded model, only ``identity`` and the target are known.

    Args:
        identity: the name and version, for people and for the cache of a client.
        rows: the first rows of the sample, each with a value for every column.
        sample_text: the sample of an unstructured model.
        sample_request: the sample request of OpenAI's interface.
        all_columns: the number of columns, of which the first are shown.
    """

    identity: Json
    target_type: TargetType
    target_name: str | None = None
    target_names: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    columns: tuple[ColumnCard, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()
    sample_text: str | None = None
    sample_request: Json | None = None
    all_columns: int = 0
    prompt_column: str = ""
    formats: tuple[str, ...] = ()
    methods: Json = field(default_factory=dict)
    predicts_rows: bool = True
    only_streams: bool = False

    @property
    def example(self) -> Json | None:
        """The first row of the sample by column; None without one, or if it is too wide to be shown."""
        if not self.rows or self.all_columns > len(self.columns):
            return None
        return {column.name: value for column, value in zip(self.columns, self.rows[0], strict=True)}

    def to_json(self) -> Json:
        """Return what the playground reads."""
        return {
            **self.identity,
            "targetType": self.target_type.value,
            "targetName": self.target_name,
            "labels": list(self.labels),
            "columns": [column.to_json() for column in self.columns],
            "rows": [list(row) for row in self.rows],
            "allColumns": self.all_columns,
            "sampleText": self.sample_text,
            "sampleRequest": self.sample_request,
            "promptColumn": self.prompt_column,
            "formats": list(self.formats),
            "methods": self.methods,
            "readsTables": self.target_type.reads_tables,
            "predictsRows": self.predicts_rows,
            "onlyStreams": self.only_streams,
        }


def identify(settings: ModelSettings, digest: str = "") -> Json:
    """Return what names exactly this model; further keys appear in ``/openapi.json`` and on the page by themselves."""
    found = {"name": settings.served_name, "version": settings.served_version}
    return {**found, "digest": digest} if digest else found


def make_card(
    predictor: BasePredictor | None,
    settings: ModelSettings,
    sample_file: Path | None,
    *,
    digest: str = "",
    show_cells: bool = True,
) -> ModelCard:
    """Return the card of a model.

    Args:
        predictor: None until the model is loaded.
        sample_file: None without one.
        digest: of the model folder.
        show_cells: False leaves out the values of the sample.
    """
    target_type, identity = settings.target_type, identify(settings, digest)
    if predictor is None:
        return ModelCard(identity, target_type, settings.target_name, settings.target_names, settings.class_labels)
    schema = InputSchema() if predictor.reads_raw_input else predictor.input_schema
    sample = read_sample(sample_file, target_type, schema)
    columns = _columns(schema, sample.table, settings) if target_type.reads_tables else ()
    shown = columns[:MAX_COLUMNS]
    return ModelCard(
        identity,
        target_type,
        settings.target_name,
        settings.target_names,
        predictor.class_labels or settings.class_labels,
        shown,
        _rows(sample, schema, shown) if show_cells else (),
        sample.text if show_cells else None,
        sample.request if show_cells else None,
        len(columns),
        settings.prompt_column if target_type.may_chat else "",
        # A hook that decodes bytes expects those of the sample, which is a csv file.
        ("csv",) if predictor.reads_raw_input else tuple(predictor.payload_formats),
        openai_methods(predictor),
        predictor.predicts_rows,
        predictor.only_streams,
    )


def _columns(schema: InputSchema, table: pd.DataFrame | None, settings: ModelSettings) -> tuple[ColumnCard, ...]:
    """Return the columns that the model knows, else those of the sample, else those that its owner declared."""
    names = _names(schema, table)
    if not names and settings.target_type.may_chat:
        return (_card(settings.prompt_column, TEXT, None),)
    inferred = {} if table is None else declare_columns(table)
    resolved = schema.resolve(names)
    # By position, the sample's names are those of the columns.
    return tuple(_card(name, column, inferred.get(name)) for name, column in zip(names, resolved, strict=True))


def _names(schema: InputSchema, table: pd.DataFrame | None) -> tuple[str, ...]:
    if schema.names is not None:
        return tuple(map(str, schema.names))
    sampled = () if table is None else tuple(map(str, table.columns))
    if schema.width is None or schema.width == len(sampled):
        return sampled or schema.declared_names
    declared = schema.names_of(schema.width)
    return declared or tuple(f"column {number}" for number in range(1, schema.width + 1))


def _card(name: str, column: Column, inferred: Any) -> ColumnCard:
    categories = () if column.categories is None else tuple(column.categories[:MAX_CATEGORIES].tolist())
    if column.allowed and not categories:
        categories = tuple(sorted(column.allowed, key=str)[:MAX_CATEGORIES])
    kind = column.type.value
    if kind == _ANY and isinstance(inferred, str):
        kind = inferred
    return ColumnCard(name, kind, tuple(map(_plain, categories)), column.is_required)


def _rows(sample: Sample, schema: InputSchema, columns: tuple[ColumnCard, ...]) -> tuple[tuple[Any, ...], ...]:
    """Return the sample's rows in the order of the columns; of a request, the only text."""
    if sample.table is None:
        return ()
    rows = []
    for record in records(sample.table):
        by_name = {without_blanks(name): cell for name, cell in record.items()} | record
        if schema.names is None and len(record) == len(columns):
            cells = list(record.values())
        else:
            cells = [by_name.get(column.name) for column in columns]
        rows.append(tuple(_plain(cell) for cell in cells[: len(columns)]))
    return tuple(rows)


def _plain(value: Any) -> Any:
    """Return a cell as JSON has it; a long text is cut."""
    try:
        plain = to_plain(value)
    except PredictionError:
        return str(value)
    return plain[:MAX_CELL] if isinstance(plain, str) else plain
