"""The forms of a file of predictions, by its extension."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from datarobot_drum.drum.exceptions import UsageError
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.language_predictors.base import StreamChunk
from datarobot_drum.drum.serving.formats.streaming import csv_lines
from datarobot_drum.drum.settings.target_types import TargetType
from datarobot_drum.drum.tabular.table_files import require_arrow_extra

Write = Callable[[Iterator[StreamChunk], TargetType, Path], None]

_ARROW_FORMS = {
    ".parquet": "Parquet",
    ".pq": "Parquet",
    ".arrow": "Arrow",
    ".feather": "Arrow",
}
_CSV_EXTENSIONS = (".csv", ".txt", "")


def write_csv(chunks: Iterator[StreamChunk], target_type: TargetType, file: BinaryIO) -> None:
    """As ``/predictionsStream/`` sends csv: a header line, then a line a row; what is missing is an empty cell."""
    for piece in csv_lines(chunks, target_type):
        file.write(piece)


def write_csv_file(chunks: Iterator[StreamChunk], target_type: TargetType, path: Path) -> None:
    with path.open("wb") as file:
        write_csv(chunks, target_type, file)


def find_form(path: Path) -> Write:
    """What writes a file of that name.

    Raises:
        UsageError: its extension is that of no known form.
        CommandError: the form needs a package that is not installed.
    """
    extension = path.suffix.lower()
    if extension in _CSV_EXTENSIONS:
        return write_csv_file
    if extension not in _ARROW_FORMS:
        known = ", ".join((".csv", *_ARROW_FORMS))
        raise UsageError(f"--output {path.name}: the extension must be one of {known}.")
    name = _ARROW_FORMS[extension]
    with require_arrow_extra(name):
        write: Write = import_from_string(f"datarobot_drum.drum.commands.score.arrow_output:write_{name.lower()}")
    return write
