"""From transformed samples to the ``multipart/form-data`` that ``/transform/`` answers (http-api.md section 6)."""

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
"""What anyone takes for the end of a line, as an escape sequence."""


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
    """The parts ``X.transformed`` and ``out.format``, ``X.colnames`` of sparse samples, ``y.transformed`` and
    ``y.format`` of a target.

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
    """A digest of the content: equal answers have equal bytes, and no content can hold its own digest."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b"%s %d " % (part.name.encode(), len(part.content)))
        digest.update(part.content)
    return digest.hexdigest()[:40]


def _to_csv(table: pd.DataFrame) -> bytes:
    """A header and a line a row, without the index; a missing value is an empty cell."""
    file = io.BytesIO()
    try:
        table.to_csv(file, index=False, lineterminator="\n")
        return file.getvalue()
    except UnicodeEncodeError as error:
        raise _not_text(error) from error


def _to_mtx(matrix: Any) -> bytes:
    """Coordinates in Matrix Market format; numbers are exact to the last bit."""
    from scipy.io import mmwrite  # whoever made the matrix has SciPy

    file = io.BytesIO()
    # Without a symmetry SciPy looks for one, and square samples that have one by chance would come out otherwise.
    mmwrite(file, matrix, symmetry="general")
    return file.getvalue()


def _to_lines(names: tuple[str, ...]) -> bytes:
    """A name a line; a line break inside a name is written as its escape sequence."""
    try:
        return "\n".join(name.translate(_LINE_BREAKS) for name in names).encode("utf-8")
    except UnicodeEncodeError as error:
        raise _not_text(error) from error


def _not_text(error: UnicodeEncodeError) -> PredictionError:
    return PredictionError(f"The model returned text that UTF-8 cannot carry: {error.reason}.")
