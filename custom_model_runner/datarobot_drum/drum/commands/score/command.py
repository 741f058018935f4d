"""``drum score``: from arguments to a file of predictions."""

import logging
import time

from datarobot_drum.drum.commands.input_file import input_path, opened_input
from datarobot_drum.drum.commands.loaded_model import loaded_model
from datarobot_drum.drum.commands.progress import progress_bar
from datarobot_drum.drum.commands.score.output_target import OutputTarget, choose_output
from datarobot_drum.drum.commands.score.structured import score_rows
from datarobot_drum.drum.commands.score.unstructured import score_body
from datarobot_drum.drum.commands.target_type.detection import with_target_type
from datarobot_drum.drum.exceptions import CommandError
from datarobot_drum.drum.serving.media_type import MediaType
from datarobot_drum.drum.serving.messages import parse_query
from datarobot_drum.drum.serving.payloads import declared_header
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.settings.build import build_model_settings
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
    model = build_model_settings(with_target_type(arguments))
    path = input_path(arguments)
    is_unstructured = model.target_type is TargetType.UNSTRUCTURED
    output = choose_output(arguments.output, path, any_content=is_unstructured)
    start = time.monotonic()
    try:
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
    except BrokenPipeError:
        return EXIT_BROKEN_PIPE
    except OSError as error:
        raise CommandError(f"Reading the input or writing the output failed: {error.strerror or error}.") from error
    _log_done(output, time.monotonic() - start)
    return 0


def _log_done(output: OutputTarget, seconds: float) -> None:
    logger.info("Scored in %.1f s: %s.", seconds, output.name)
