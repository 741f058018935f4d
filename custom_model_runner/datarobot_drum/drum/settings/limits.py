"""The limits of request contents, each declared once. They are the same on all servers, except where a default says so.

``docs/limits.md`` lists them with status and reason. 0 switches a limit off.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from datarobot_drum.drum.settings.declaration import parameter, settings_of
from datarobot_drum.drum.settings.value_parsers import Kind

GIGABYTE = 1024**3

FREE_DECODED_BYTES = 10 * 1024 * 1024
"""Decoded bytes up to which the compression ratio of a body is not checked."""

WIDTH_FACTOR = 10
MIN_WIDTH_LIMIT = 10_000
"""Columns that are accepted for a model of known width: ten times as many, and at least this many."""

_COUNT = (0, 1_000_000_000_000)


@dataclasses.dataclass(frozen=True)
class InputLimits:
    """Limits of decoded bodies and of what they contain; 0 means no limit."""

    max_decoded_size: int = parameter(
        "DRUM_MAX_DECODED_SIZE",
        Kind.SIZE,
        "Maximum size of a gzip body after decoding; a larger one gets 413.",
        computed="DRUM_MAX_UPLOAD_SIZE if that is set, else 1GB",
    )
    max_compression_ratio: int = parameter(
        "DRUM_MAX_COMPRESSION_RATIO",
        Kind.INTEGER,
        "Maximum ratio of decoded to received bytes of a gzip body, once 10 MB are decoded; more gets 413. 0 = no "
        "limit.",
        default=700,
        limits=_COUNT,
    )
    max_rows: int = parameter(
        "DRUM_MAX_ROWS",
        Kind.INTEGER,
        "Maximum lines of a csv, and rows of a Matrix Market file; more get 422. 0 = no limit.",
        computed="10000000 (flask, gunicorn: 100000000)",
        limits=_COUNT,
    )
    max_columns: int = parameter(
        "DRUM_MAX_COLUMNS",
        Kind.INTEGER,
        "Maximum columns of a table; more get 422. A model of known width takes ten times its width, at least 10000 "
        "and at most this many, but always its own width. 0 = no limit.",
        default=50_000,
        limits=_COUNT,
    )
    max_cell_size: int = parameter(
        "DRUM_MAX_CELL_SIZE",
        Kind.SIZE,
        "Maximum characters of a text cell of a csv, and of its header line; more get 422.",
        default="10MB",
    )
    max_matrix_columns: int = parameter(
        "DRUM_MAX_MATRIX_COLUMNS",
        Kind.INTEGER,
        "Maximum columns that a Matrix Market file may declare for a model that takes a sparse matrix; for a DataFrame "
        "it is DRUM_MAX_COLUMNS. More get 422. 0 = no limit.",
        default=1_000_000,
        limits=_COUNT,
    )
    max_empty_rows: int = parameter(
        "DRUM_MAX_EMPTY_ROWS",
        Kind.INTEGER,
        "Maximum rows that a Matrix Market file may declare beyond ten times its entries; more get 422. 0 = no limit.",
        default=100_000,
        limits=_COUNT,
    )
    max_matrix_comments: int = parameter(
        "DRUM_MAX_MATRIX_COMMENTS",
        Kind.SIZE,
        "Maximum size of the comments of a Matrix Market file; more get 422.",
        default="64KB",
    )
    max_form_parts: int = parameter(
        "DRUM_MAX_FORM_PARTS",
        Kind.INTEGER,
        "Maximum parts of a form; more get 413. 0 = no limit.",
        default=100,
        limits=_COUNT,
    )
    max_form_headers: int = parameter(
        "DRUM_MAX_FORM_HEADERS",
        Kind.INTEGER,
        "Maximum headers of a form part; more get 431. 0 = no limit.",
        default=16,
        limits=_COUNT,
    )
    max_form_header_size: int = parameter(
        "DRUM_MAX_FORM_HEADER_SIZE",
        Kind.SIZE,
        "Maximum size of the headers of a form part; larger ones get 431.",
        default="16KB",
    )
    max_json_depth: int = parameter(
        "DRUM_MAX_JSON_DEPTH",
        Kind.INTEGER,
        "Maximum nesting of a JSON body that the server parses; more gets 422. 0 = no limit.",
        default=100,
        limits=_COUNT,
    )
    max_json_items: int = parameter(
        "DRUM_MAX_JSON_KEYS",
        Kind.INTEGER,
        "Maximum keys and list items of a JSON body that the server parses, all levels together; more get 422. 0 = no "
        "limit.",
        default=100_000,
        limits=_COUNT,
    )
    max_json_cells: int = parameter(
        "DRUM_MAX_JSON_CELLS",
        Kind.INTEGER,
        "Maximum cells of a table in JSON, of each block where JSON lines are streamed; more get 422. 0 = no limit.",
        default=2_000_000,
        limits=_COUNT,
    )
    max_record_batch_size: int = parameter(
        "DRUM_MAX_RECORD_BATCH_SIZE",
        Kind.SIZE,
        "Maximum decoded size of a record batch of an Arrow file or body; a larger one gets 422.",
        default="1GB",
    )

    def for_width(self, width: int | None) -> InputLimits:
        """Return the limits for a model that takes ``width`` columns; None if it is not known."""
        if not width:
            return self
        return dataclasses.replace(
            self,
            max_columns=_columns_for(width, self.max_columns),
            max_matrix_columns=_columns_for(width, self.max_matrix_columns),
        )


UNLIMITED = InputLimits(**dict.fromkeys(settings_of(InputLimits), 0))

_FOR_COMMANDS = (
    "max_compression_ratio",
    "max_record_batch_size",
    "max_matrix_columns",
    "max_empty_rows",
    "max_matrix_comments",
)
"""Limits of what a small file can declare. The size of the user's own files is not limited."""


def server_limits(server: InputLimits) -> InputLimits:
    """Return the limits among the parameters of a server."""
    return InputLimits(**{name: getattr(server, name) for name in settings_of(InputLimits)})


def command_limits(given: Mapping[str, Any]) -> InputLimits:
    """Return the limits of a command that reads the user's own files: those that are given, and ``_FOR_COMMANDS``."""
    defaults = {name: settings_of(InputLimits)[name].default_value for name in _FOR_COMMANDS}
    return dataclasses.replace(UNLIMITED, **{**defaults, **given})


def default_limits(given: Mapping[str, Any], server_type: str) -> dict[str, Any]:
    """Return the limits whose default depends on the server.

    Args:
        given: the other parameters by field name, with the default of ``max_upload_size``.
    """
    return {
        "max_decoded_size": given["max_upload_size"] or GIGABYTE,
        "max_rows": 10_000_000 if server_type == "fastapi" else 100_000_000,
    }


def _columns_for(width: int, limit: int) -> int:
    return limit and max(width, min(limit, max(WIDTH_FACTOR * width, MIN_WIDTH_LIMIT)))
