"""Unstructured scoring: the whole input as one body, as ``/predictUnstructured/`` gets it."""

from collections.abc import Iterator, Mapping

from datarobot_drum.drum.commands.input_file import InputFile
from datarobot_drum.drum.iterators import close_iterator
from datarobot_drum.drum.language_predictors.base import BasePredictor
from datarobot_drum.drum.language_predictors.unstructured import UnstructuredInput
from datarobot_drum.drum.serving.media_type import MediaType


def score_body(
    predictor: BasePredictor, source: InputFile, media_type: MediaType, query: Mapping[str, str]
) -> Iterator[bytes]:
    """Yield the bytes of the model's response, as a whole or streamed; text is encoded in the model's charset.

    Raises:
        RequestError: the model rejects the body or fails.
    """
    request = UnstructuredInput(source.file, media_type.essence, media_type.charset, query)
    content = predictor.predict_unstructured(request).content
    if isinstance(content, bytes):
        yield content
        return
    try:
        yield from content
    finally:
        close_iterator(content)
