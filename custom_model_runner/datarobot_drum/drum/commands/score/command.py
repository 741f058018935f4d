"""``drum score``: from arguments to a file of predictions."""

import logging
import time
from pathlib import Path

from datarobot_drum.drum.commands.input_file import input_path, opened_input
from datarobot_drum.drum.commands.loaded_model import loaded_model
from datarobot_drum.drum.commands.progress import progress_bar
from datarobot_drum.drum.commands.score.dataset import score_parts
from datarobot_drum.drum.commands.score.output_target import OutputTarget, choose_output
from datarobot_drum.drum.commands.score.part_files import PartFiles, part_files
from datarobot_drum.drum.commands.score.sources import find_sources, has_many_files
from datarobot_drum.drum.commands.score.structured import score_rows
from datarobot_drum.drum.commands.score.unstructured import score_body
from datarobot_drum.drum.commands.target_type.detection import with_target_type
from datarobot_drum.drum.exceptions import CommandError, UsageError
from datarobot_drum.drum.serving.media_type import MediaType
from datarobot_drum.drum.serving.messages import parse_query
from datarobot_drum.drum.serving.payloads import declared_header
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.settings.build import ModelSettings, build_model_settings
from datarobot_drum.drum.settings.target_types import TargetType

logger = logging.getLogger("drum")

EXIT_BROKEN_PIPE = 141
"""128 + SIGPIPE: the reader of standard output has closed it."""


def score(arguments: Arguments) -> int:
    """Predict ``--input`` into ``--output``, or to standard output.

    Raises:
        UsageError: an argument is missing or wrong.
        StartupError, RequestError: the model cannot be loaded, the input cannot be read, or a prediction failed.
    """
    arguments = with_target_type(arguments)
    model = build_model_settings(arguments)
    start = time.monotonic()
    try:
        name = _score_parts(arguments, model) if _is_in_parts(arguments, model) else _score_file(arguments, model)
    except BrokenPipeError:
        return EXIT_BROKEN_PIPE
    except OSError as error:
        raise CommandError(f"Reading the input or writing the output failed: {error.strerror or error}.") from error
    logger.info("Scored in %.1f s: %s.", time.monotonic() - start, name)
    return 0


def _is_in_parts(arguments: Arguments, model: ModelSettings) -> bool:
    """Return True for several files, workers or parts of output.

    Raises:
        UsageError: an argument does not fit the others.
    """
    is_folder = part_files(arguments) is not None
    if arguments.resume and not is_folder:
        raise UsageError("--resume continues a run into a folder: end --output in a slash.")
    if arguments.workers is not None and arguments.workers < 1:
        raise UsageError(f"--workers {arguments.workers}: at least 1.")
    if arguments.engine == "ray" and not is_folder:
        raise UsageError("--engine ray writes parts into a folder that all machines share: end --output in a slash.")
    if arguments.ray_address and arguments.engine != "ray":
        raise UsageError("--address is that of a Ray cluster: give --engine ray, too.")
    if not (is_folder or (arguments.workers or 1) > 1 or has_many_files(arguments)):
        return False
    if model.target_type is TargetType.UNSTRUCTURED:
        raise UsageError("An unstructured model takes one file, which is no table: it has no parts.")
    return True


def _score_parts(arguments: Arguments, model: ModelSettings) -> str:
    """Score an input in parts; return the name of the output."""
    sources = find_sources(arguments)
    folder = part_files(arguments)
    output: OutputTarget | PartFiles = folder or choose_output(arguments.output, Path(sources[0]), any_content=False)
    score_parts(arguments, model, sources, output)
    return str(folder.folder) if folder else str(getattr(output, "name", ""))


def _score_file(arguments: Arguments, model: ModelSettings) -> str:
    """Score one file in this process; return the name of the output."""
    path = input_path(arguments)
    is_unstructured = model.target_type is TargetType.UNSTRUCTURED
    output = choose_output(arguments.output, path, any_content=is_unstructured)
    with output, opened_input(path) as source, progress_bar() as on_progress, loaded_model(model) as predictor:
        media_type = MediaType.parse(arguments.content_type)
        if is_unstructured:
            query = parse_query(arguments.query or "")
            output.write_bytes(score_body(predictor, source, media_type, query))
        else:
            charset = media_type.charset or "utf-8"
            chunks = score_rows(predictor, source, charset, on_progress, model.limits, declared_header(media_type))
            output.write(chunks, model.target_type)
        output.finish()
    return output.name
