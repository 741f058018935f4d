"""Score an input in parts: many files, several processes, or a folder of results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from datarobot_drum.drum.commands.progress import OnProgress, progress_bar
from datarobot_drum.drum.commands.score.output_target import OutputTarget
from datarobot_drum.drum.commands.score.part_files import PartFiles, WrittenPart
from datarobot_drum.drum.commands.score.part_scorer import Failure, ScoringJob
from datarobot_drum.drum.commands.score.sources import describe_source
from datarobot_drum.drum.commands.score.structured import columns_of, require_same_columns
from datarobot_drum.drum.commands.score.workers import OwnProcess, WorkerProcesses, Workers
from datarobot_drum.drum.exceptions import CommandError
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.language_predictors.base import StreamChunk
from datarobot_drum.drum.settings.arguments import Arguments, with_absolute_paths
from datarobot_drum.drum.settings.build import ModelSettings
from datarobot_drum.drum.tabular.column_hints import list_names
from datarobot_drum.drum.tabular.column_types import InferredTypes
from datarobot_drum.drum.tabular.parts import UNKNOWN, FilePlan, PartScan
from datarobot_drum.drum.tabular.table_files import FileFormat
from datarobot_drum.drum.tabular.typed_frames import read_cells

_RAY_ACTORS = "datarobot_drum.ray.scoring:RayActors"


def score_parts(
    arguments: Arguments, model: ModelSettings, sources: tuple[str, ...], output: OutputTarget | PartFiles
) -> None:
    """Predict all files as one table.

    Raises:
        UsageError: the model does not take parts, or the folder of ``--resume`` is that of another job.
        CommandError: a task failed, or the files have different columns.
    """
    folder = output if isinstance(output, PartFiles) else None
    if folder is not None:
        folder.prepare(_describe_job(arguments, model, sources), resume=arguments.resume)
        if folder.is_finished():
            return
    job = ScoringJob(with_absolute_paths(arguments).to_json(), sources, folder)
    with ExitStack() as stack:
        target = stack.enter_context(output) if isinstance(output, OutputTarget) else None
        on_progress = stack.enter_context(progress_bar())
        workers = stack.enter_context(_start(job, arguments))
        dataset = _Dataset(workers, sources, on_progress)
        if target is not None:
            target.write(dataset.predictions(), model.target_type)
            target.finish()
        elif folder is not None:
            folder.finish(dataset.write_to(folder))


def _start(job: ScoringJob, arguments: Arguments) -> Workers:
    count = arguments.workers or 1
    if arguments.engine == "ray":
        return _start_ray(job, arguments)
    return WorkerProcesses(job, count) if count > 1 else OwnProcess(job)


def _start_ray(job: ScoringJob, arguments: Arguments) -> Workers:
    try:
        actors = import_from_string(_RAY_ACTORS)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "ray":
            raise
        raise CommandError("--engine ray needs Ray: install datarobot-drum[ray].") from error
    workers: Workers = actors(job, arguments.workers or 0, arguments.ray_address)
    return workers


class _Dataset:
    """The parts of all files, and the types of their columns as one table."""

    def __init__(self, workers: Workers, sources: Sequence[str], on_progress: OnProgress) -> None:
        self._workers = workers
        self._sources = sources
        self._on_progress = on_progress
        plans: list[FilePlan] = list(self._results("plan", "reading files", range(len(sources))))
        self._columns = plans[0].columns
        for source, plan in zip(sources, plans, strict=True):
            _require_same_table(plans[0], plan, sources[0], source)
        self._parts = [part for plan in plans for part in plan.parts]
        is_one_block = sum(abs(plan.blocks) for plan in plans) == 1 and plans[0].blocks != UNKNOWN
        self._types = None if is_one_block or not self._parts else self._scan(plans[0].format)

    def predictions(self) -> Iterator[StreamChunk]:
        """Yield the predictions of all rows in their order."""
        if not self._parts:
            yield from self._results("predict_nothing", "scoring", [self._columns])
            return
        columns: list[str] = []
        scored = 0
        for blocks in self._results("predict", "scoring", self._parts):
            for block in blocks:
                columns = columns or columns_of(block)
                require_same_columns(columns, columns_of(block), scored)
                scored += len(block.values)
                yield block

    def write_to(self, folder: PartFiles) -> list[WrittenPart]:
        """Write the parts that an earlier run has not written."""
        if not self._parts:
            return list(self._results("write_nothing", "scoring", [self._columns]))
        written = {part.number: part for part in folder.finished_parts(len(self._parts))}
        numbered = [(number, part) for number, part in enumerate(self._parts) if number not in written]
        for part in self._results("write", "scoring", numbered):
            written[part.number] = part
        parts = [written[number] for number in sorted(written)]
        for number, part in enumerate(parts):
            require_same_columns(list(parts[0].columns), list(part.columns), sum(p.rows for p in parts[:number]))
        return parts

    def _results(self, task: str, step: str, arguments: Sequence[Any]) -> Iterator[Any]:
        for done, result in enumerate(self._workers.run(task, arguments, getattr(self, "_types", None)), start=1):
            if isinstance(result, Failure):
                raise result.to_error()
            yield result
            self._on_progress(step, done / len(arguments))

    def _scan(self, kind: FileFormat) -> Any:
        """Return the types of the columns in all parts."""
        whole = PartScan()
        for scan in self._results("scan", "reading types", self._parts):
            whole.add(scan)
        if kind is not FileFormat.CSV:
            return whole
        return InferredTypes(whole.options, whole.kinds).finalize(self._read_column)

    def _read_column(self, position: int) -> Any:
        places = [(source, position) for source in range(len(self._sources))]
        texts = [text for part in self._results("column_texts", "reading types", places) for text in part]
        return read_cells(texts)


def _require_same_table(expected: FilePlan, found: FilePlan, first: str, source: str) -> None:
    if found.format is not expected.format:
        raise CommandError(f"{source} is {found.format.value}, {first} is {expected.format.value}: score them apart.")
    if found.columns != expected.columns:
        raise CommandError(
            f"{source} has the columns {list_names(found.columns)}, {first} has {list_names(expected.columns)}: the "
            "files of one input have the same columns."
        )


def _describe_job(arguments: Arguments, model: ModelSettings, sources: Sequence[str]) -> dict[str, Any]:
    """Return what decides the content of the parts: an unequal description means other parts."""
    files = sorted(
        path for path in Path(model.code_dir).rglob("*") if path.is_file() and "__pycache__" not in path.parts
    )
    return {
        "input": [describe_source(source) for source in sources],
        "model": [describe_source(str(path)) for path in files],
        "target_type": model.target_type.value,
        "class_labels": list(model.class_labels),
        "content_type": arguments.content_type,
        "format": arguments.output_format or "csv",
    }
