"""A curl command that works for one model: with its sample file, else with a row that its input schema describes."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datarobot_drum.drum.input_schema.columns import Column, ColumnType, InputSchema
from datarobot_drum.drum.language_predictors.base import BasePredictor
from datarobot_drum.drum.settings.build import ModelSettings
from datarobot_drum.drum.settings.target_types import TargetType

ROWS_FILE = "@rows.csv"
"""The body where nothing is known of the columns: a file that the reader has."""

SAMPLE_STEMS = ("sample", "warm_up")
_CONTENT_TYPES = {".csv": "text/csv", ".json": "application/json", ".mtx": "text/mtx", ".txt": "text/plain"}
_MAX_COLUMNS = 40
_VALUES: Mapping[ColumnType, Any] = {
    ColumnType.TEXT: "text",
    ColumnType.CATEGORY: "text",
    ColumnType.BOOLEAN: True,
    ColumnType.DATE: "2024-01-31",
}
_USER_MESSAGE = {"messages": [{"role": "user", "content": "Hello"}]}


def example_curl(predictor: BasePredictor, model: ModelSettings, url: str, headers: Sequence[str] = ()) -> str:
    """Return the command line.

    Args:
        url: that of the server, with the URL prefix and without a slash at the end.
        headers: of this server, such as the one with an API key.
    """
    path, content_type, body = _request(predictor, model)
    words = ["curl", "-X", "POST"]
    for header in (f"Content-Type: {content_type}", *headers):
        words += ["-H", header]
    return shlex.join([*words, "--data-binary", body, f"{url}{path}"])


def example_row(schema: InputSchema) -> dict[str, Any] | list[Any] | None:
    """Return a row with a value for each column: by name, else in order; None if the columns are not known."""
    names = schema.names or schema.declared_names
    if len(names) > _MAX_COLUMNS or (schema.width or 0) > _MAX_COLUMNS:
        return None
    if names:
        columns = zip(names, schema.resolve(names), strict=True)
        return {name: _value(column) for name, column in columns if column.is_required}
    return [_value(column) for column in schema.columns] or None


def sample_file(model: ModelSettings) -> Path | None:
    """Return the sample in the folder of the model, in a format of its routes; None without one."""
    suffixes = _CONTENT_TYPES if model.target_type is TargetType.UNSTRUCTURED else (".csv", ".mtx")
    files = (model.code_dir / f"{stem}{suffix}" for stem in SAMPLE_STEMS for suffix in suffixes)
    return next((file for file in files if file.is_file()), None)


def _request(predictor: BasePredictor, model: ModelSettings) -> tuple[str, str, str]:
    """Return path, content type and body, which is ``@`` and the path of a file, or text."""
    document = _openai_request(predictor) if model.target_type.may_chat else None
    if document is not None:
        return document[0], "application/json", json.dumps(document[1])
    path = "/predictionsStream/" if predictor.only_streams else _route(model.target_type)
    if sample := sample_file(model):
        return path, _CONTENT_TYPES[sample.suffix], f"@{sample}"
    if model.target_type is TargetType.UNSTRUCTURED:
        return path, "text/plain", "some text"
    row = {model.prompt_column: "Hello"} if model.target_type.may_chat else example_row(predictor.input_schema)
    if row is None:
        return path, "text/csv", ROWS_FILE
    return path, "application/json", json.dumps([row], default=str, ensure_ascii=False)


def _route(target_type: TargetType) -> str:
    routes = {TargetType.UNSTRUCTURED: "/predictUnstructured/", TargetType.TRANSFORM: "/transform/"}
    return routes.get(target_type, "/predict/")


def _openai_request(predictor: BasePredictor) -> tuple[str, dict[str, Any]] | None:
    if predictor.can_chat:
        return "/v1/chat/completions", _USER_MESSAGE
    if predictor.can_complete:
        return "/v1/completions", {"prompt": "Hello"}
    if predictor.can_embed:
        return "/v1/embeddings", {"input": ["some text"]}
    return None


def _value(column: Column) -> Any:
    known = sorted(column.allowed or (), key=str) or ([] if column.categories is None else column.categories.tolist())
    if known:
        return known[0]
    return _VALUES.get(column.type, 1)
