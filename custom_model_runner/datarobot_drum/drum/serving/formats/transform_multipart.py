"""Encodes transformed samples as the ``multipart/form-data`` of ``/transform/``."""

import hashlib
import io
from dataclasses import dataclass
from typing import Any

import pandas as pd
from urllib3.fields import RequestField
from urllib3.filepost import encode_multipart_formdata

from datarobot_drum.drum.exceptions import PredictionError
from datarobot_drum.drum.language_predictors.transforms import Transformed
from datarobot_drum.drum.serving.messages import ModelResponse

CSV, MTX, TEXT = "text/csv", "text/mtx", "text/plain"

_LINE_BREAKS = str.maketrans({mark: repr(mark)[1:-1] for mark in "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"})
"""Every character that a reader may take for a line break, as its escape sequence."""


@dataclass(frozen=True)
class _Part:
    name: str
    content: bytes
    media_type: str = TEXT
    filename: str | None = None

    def to_field(self) -> RequestField:
        field = RequestField(self.name, self.content, self.filename)
        field.make_multipart(content_type=self.media_type)
        return field


def transform_response(transformed: Transformed) -> ModelResponse:
    """Encode the parts of a form.

    They are ``X.transformed`` and ``out.format``, for sparse samples ``X.colnames``, for a target ``y.transformed`` and
    ``y.format``.

    Raises:
        PredictionError: the model returned text that UTF-8 cannot carry.
    """
    if transformed.is_sparse:
        parts = [
            _Part("X.transformed", _to_mtx(transformed.features), MTX, "X.mtx"),
            _Part("out.format", b"sparse"),
            _Part("X.colnames", _to_lines(transformed.names), f"{TEXT}; charset=utf-8"),
        ]
    else:
        parts = [_Part("X.transformed", _to_csv(transformed.features), CSV, "X.csv"), _Part("out.format", b"csv")]
    if transformed.target is not None:
        parts += [_Part("y.transformed", _to_csv(transformed.target), CSV, "y.csv"), _Part("y.format", b"csv")]
    content, media_type = encode_multipart_formdata([part.to_field() for part in parts], _boundary(parts))
    return ModelResponse(content, media_type)


def _boundary(parts: list[_Part]) -> str:
    """Return a digest of the content: equal content gives equal bytes, and no content contains its own digest."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b"%s %d " % (part.name.encode(), len(part.content)))
        digest.update(part.content)
    return digest.hexdigest()[:40]


def _to_csv(table: pd.DataFrame) -> bytes:
    """Encode csv with a header, without the index; a missing value is an empty cell."""
    file = io.BytesIO()
    try:
        table.to_csv(file, index=False, lineterminator="\n")
        return file.getvalue()
    except UnicodeEncodeError as error:
        raise _encoding_error(error) from error


def _to_mtx(matrix: Any) -> bytes:
    """Encode coordinates in Matrix Market format; numbers are exact to the last bit."""
    from scipy.io import mmwrite  # installed if there is a sparse matrix

    file = io.BytesIO()
    # By default SciPy detects symmetry, so square samples that are symmetric by chance would be encoded differently.
    mmwrite(file, matrix, symmetry="general")
    return file.getvalue()


def _to_lines(names: tuple[str, ...]) -> bytes:
    """Encode one name a line; a line break inside a name becomes its escape sequence."""
    try:
        return "\n".join(name.translate(_LINE_BREAKS) for name in names).encode("utf-8")
    except UnicodeEncodeError as error:
        raise _encoding_error(error) from error


def _encoding_error(error: UnicodeEncodeError) -> PredictionError:
    return PredictionError(f"The model returned text that UTF-8 cannot carry: {error.reason}.")
