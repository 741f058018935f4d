"""A folder with predictions in parts, and an end marker when all of them are there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datarobot_drum.drum.commands.score.formats import find_writer
from datarobot_drum.drum.commands.score.structured import columns_of
from datarobot_drum.drum.exceptions import CommandError, UsageError
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.language_predictors.base import Predictions, StreamChunk
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.settings.target_types import TargetType

END_MARKER = "_SUCCESS"
_JOB = "_job.json"
_PART = "part-{:06d}"


@dataclass(frozen=True)
class WrittenPart:
    """A part that is complete, with its columns."""

    number: int
    rows: int
    columns: tuple[str, ...]


@dataclass(frozen=True)
class PartFiles:
    """The files of one run. A part appears under its name when it is complete; ``extension`` has no dot."""

    folder: Path
    extension: str

    def path_of(self, number: int) -> Path:
        return self.folder / f"{_PART.format(number)}.{self.extension}"

    def write(self, number: int, predictions: Iterator[Predictions], target_type: TargetType) -> WrittenPart:
        """Write a part and the note of its rows.

        Raises:
            CommandError: the predictions do not fit the format, or the file cannot be written.
        """
        path = self.path_of(number)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        counted = _Counted(predictions)
        try:
            find_writer(path)(counted.chunks(), target_type, temporary)
            written = WrittenPart(number, counted.rows, counted.columns)
            _replace(temporary, path)
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error.strerror or error}.") from error
        finally:
            temporary.unlink(missing_ok=True)
        self._write_json(self._note_of(number), [written.rows, list(written.columns)])
        return written

    def prepare(self, job: Any, *, resume: bool) -> None:
        """Make the folder, or check that it holds parts of the same job.

        Raises:
            UsageError: the folder has other files, or parts of another job.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        former = _read_json(self.folder / _JOB)
        job = json.loads(json.dumps(job))
        if resume and former is not None:
            if former != job:
                raise UsageError(
                    f"--resume: the parts in {self.folder} come from other input, model files or flags: name another "
                    "folder."
                )
            return
        if any(self.folder.iterdir()):
            advice = "name another one" if former is None else "give --resume, or name another one"
            raise UsageError(f"--output {self.folder} is not empty: {advice}.")
        self._write_json(self.folder / _JOB, job)

    def is_finished(self) -> bool:
        return (self.folder / END_MARKER).is_file()

    def finished_parts(self, count: int) -> list[WrittenPart]:
        """Return the parts of an earlier run."""
        found = []
        for number in range(count):
            note = _read_json(self._note_of(number))
            if note is not None and self.path_of(number).is_file():
                found.append(WrittenPart(number, note[0], tuple(note[1])))
        return found

    def finish(self, parts: Sequence[WrittenPart]) -> None:
        """Give all parts the same types, then write the end marker.

        Raises:
            CommandError: the parts have different columns.
        """
        paths = [self.path_of(part.number) for part in parts]
        if self.extension != "csv":
            import_from_string("datarobot_drum.drum.commands.score.arrow_output:unify_files")(paths)
        for leftover in (*self.folder.glob(".part-*.tmp"), *self.folder.glob("._part-*")):
            leftover.unlink(missing_ok=True)
        columns = list(parts[0].columns) if parts else []
        summary = {"rows": sum(part.rows for part in parts), "parts": len(parts), "columns": columns}
        self._write_json(self.folder / END_MARKER, summary)
        for part in parts:
            self._note_of(part.number).unlink(missing_ok=True)

    def _note_of(self, number: int) -> Path:
        return self.folder / f"_{_PART.format(number)}.json"

    def _write_json(self, path: Path, content: Any) -> None:
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        temporary.write_text(json.dumps(content))
        _replace(temporary, path)


class _Counted:
    """Counts the rows of predictions that pass."""

    def __init__(self, predictions: Iterator[Predictions]) -> None:
        self._predictions = predictions
        self.rows = 0
        self.columns: tuple[str, ...] = ()

    def chunks(self) -> Iterator[StreamChunk]:
        for chunk in self._predictions:
            self.rows += len(chunk.values)
            self.columns = tuple(columns_of(chunk))
            yield chunk


def _replace(temporary: Path, path: Path) -> None:
    with temporary.open("rb") as file:
        os.fsync(file.fileno())  # before the rename: a crash must not leave an empty file
    temporary.replace(path)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None


def part_files(arguments: Arguments) -> PartFiles | None:
    """Return the folder of ``--output``; None if it is a file.

    Raises:
        UsageError: the format is given for a file.
    """
    output = arguments.output or ""
    if output.endswith(("/", os.sep)) or (output and Path(output).is_dir()):
        return PartFiles(Path(output).absolute(), arguments.output_format or "csv")
    if arguments.output_format:
        raise UsageError("--output-format is for a folder: end --output in a slash, or in the extension of a file.")
    return None
