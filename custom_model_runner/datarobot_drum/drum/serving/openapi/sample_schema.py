"""The columns and the sample of a model as schemas and examples of the OpenAPI document."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from datarobot_drum.drum.input_schema.columns import ColumnType
from datarobot_drum.drum.serving.openapi.schemas import SCHEMAS, Json, schema

if TYPE_CHECKING:
    from datarobot_drum.drum.serving.openapi.model_card import ColumnCard, ModelCard

_TYPES: Mapping[str, Json] = {
    ColumnType.NUMBER.value: {"type": ["number", "null"]},
    ColumnType.BOOLEAN.value: {"type": ["boolean", "null"]},
    ColumnType.TEXT.value: {"type": ["string", "null"]},
    ColumnType.CATEGORY.value: {"type": ["string", "null"]},
    ColumnType.DATE.value: {"type": ["string", "null"], "description": "A date or time, as ISO 8601 has it."},
    ColumnType.ANY.value: {"type": ["number", "string", "boolean", "null"]},
}
_MAX_LISTED_CATEGORIES = 100


def model_summary(card: ModelCard) -> Json:
    """Return what names the model, with its target and labels."""
    summary = {**card.identity, "targetType": card.target_type.value}
    if card.target_name:
        summary["targetName"] = card.target_name
    if card.labels:
        summary["labels"] = list(card.labels)
    return summary


def sample_schemas(card: ModelCard | None) -> Json:
    """Return ``DrumRow`` with the columns of the model, and ``DrumJsonRows`` and ``DrumJsonLines`` of such rows."""
    if card is None or not card.columns:
        return {}
    row: Json = {
        "type": "object",
        "required": [column.name for column in card.columns if column.is_required],
        "properties": {column.name: _column_schema(column) for column in card.columns},
    }
    if card.all_columns > len(card.columns):
        row["description"] = f"The first {len(card.columns)} of {card.all_columns} columns."
    example = card.example
    rows = dict(SCHEMAS["DrumJsonRows"])
    rows["anyOf"] = [{"type": "array", "items": schema("DrumRow")}, {"type": rows.pop("type")}]
    if example is not None:
        row["examples"] = [example]
        rows["examples"] = [[example], {"instances": [example]}]
    return {"DrumRow": row, "DrumJsonRows": rows, "DrumJsonLines": {"description": "One record a line.", **row}}


def sample_examples(card: ModelCard | None) -> Mapping[str, Any]:
    """Return the first row of the sample by media type."""
    example = None if card is None else card.example
    if example is None:
        return {}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(example)
    writer.writerow(example.values())
    return {"text/csv": text.getvalue(), "application/json": [example]}


def _column_schema(column: ColumnCard) -> Json:
    """Return the schema of a cell. The server also reads texts of numbers, so this is what a client should send."""
    found = dict(_TYPES[column.type])
    if column.categories:
        values = list(column.categories)
        found.pop("type", None)
        if len(values) <= _MAX_LISTED_CATEGORIES:
            found["enum"] = [*values, *([] if None in values else [None])]
        else:
            found["examples"] = values[:_MAX_LISTED_CATEGORIES]
    return found
