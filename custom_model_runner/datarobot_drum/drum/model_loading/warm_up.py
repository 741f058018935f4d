"""Warm-up: the model predicts a sample before its worker reports ready.

The sample is the file of ``DRUM_WARM_UP_FILE``, relative to the code dir, else the file ``warm_up`` with any extension
at the top of the code dir. It is predicted as a request would be. JSON (``.json``) is a request of OpenAI's interface:
a chat if the model chats, else texts to embed. Unstructured models get any file as the body, the others csv or Matrix
Market (``.mtx``).
"""

import logging
import mimetypes
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import orjson

from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.language_predictors.base import BasePredictor
from datarobot_drum.drum.language_predictors.embeddings import EmbeddingInput
from datarobot_drum.drum.language_predictors.hook_errors import load_errors
from datarobot_drum.drum.language_predictors.unstructured import UnstructuredInput
from datarobot_drum.drum.settings.build import ModelSettings
from datarobot_drum.drum.settings.target_types import TargetType
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload

logger = logging.getLogger(__name__)

FILE_STEM = "warm_up"


def warm_up(predictor: BasePredictor, model: ModelSettings, file_name: str = "") -> None:
    """Predict the sample, if there is one. An engine gets no sample: it may start later than this server.

    Raises:
        ModelLoadError: the sample is missing, or predicting it failed.
    """
    sample = find_sample(model.code_dir, file_name)
    if sample is None:
        return
    if predictor.engine is not None:
        logger.warning("%s is not used: an inference engine warms itself up.", sample.name)
        return
    start = time.monotonic()
    with load_errors(f"The warm-up with {sample.name} failed", model.code_dir), sample.open("rb") as file:
        _predict_sample(predictor, model.target_type, file, sample)
    logger.info("Warmed up with %s in %.2f s.", sample.name, time.monotonic() - start)


def find_sample(code_dir: Path, file_name: str = "") -> Path | None:
    """Return the path of the sample; None without one.

    Raises:
        ModelLoadError: the named file does not exist, or several are called ``warm_up``.
    """
    if file_name:
        if not (code_dir / file_name).is_file():
            raise ModelLoadError(f"DRUM_WARM_UP_FILE is {file_name}, and there is no such file in the model folder.")
        return code_dir / file_name
    found = sorted(path for path in code_dir.glob(f"{FILE_STEM}.*") if path.suffix != ".py" and path.is_file())
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise ModelLoadError(f"The model folder holds several warm-up samples ({names}): keep one.")
    return found[0] if found else None


def _predict_sample(predictor: BasePredictor, target_type: TargetType, file: IO[bytes], sample: Path) -> None:
    if target_type is TargetType.UNSTRUCTURED:
        mimetype = mimetypes.guess_type(sample.name)[0] or ""
        _exhaust(predictor.predict_unstructured(UnstructuredInput(file, mimetype)).content)
        return
    if sample.suffix.lower() == ".json" and predictor.can_chat:
        _exhaust(predictor.chat(orjson.loads(file.read()), {}))
        return
    if sample.suffix.lower() == ".json" and predictor.can_embed:
        params = orjson.loads(file.read())
        texts = params["input"]
        predictor.embed(EmbeddingInput([texts] if isinstance(texts, str) else texts, params=params), {})
        return
    is_mtx = sample.suffix.lower() == ".mtx"
    payload = StructuredPayload(file, PayloadFormat.MTX if is_mtx else PayloadFormat.CSV)
    if target_type is TargetType.TRANSFORM:
        predictor.transform(payload, None)
    elif predictor.only_streams:
        _exhaust(predictor.predict_stream(payload))
    else:
        predictor.predict(predictor.read_input(payload))


def _exhaust(result: Any) -> None:
    """Consume a streamed result."""
    if isinstance(result, Iterator):
        deque(result, maxlen=0)
