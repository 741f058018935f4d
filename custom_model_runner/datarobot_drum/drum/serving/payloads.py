"""Finds the samples and the target in a request."""

from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.language_predictors.unstructured import UnstructuredInput
from datarobot_drum.drum.serving.body.spooled_file import SpooledUploadFile
from datarobot_drum.drum.serving.media_type import MediaType
from datarobot_drum.drum.serving.messages import ModelRequest
from datarobot_drum.drum.serving.sample_formats import find_format
from datarobot_drum.drum.settings.limits import UNLIMITED, InputLimits
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload

MISSING_SAMPLES = "Samples should be provided as:   - a csv or mtx under `X` form-data param key.  - binary data."
MISSING_RAW_SAMPLES = "Samples should be provided as:   - a file under `X` form-data param key.  - binary data."
"""For a model that decodes the bytes itself, such as images."""

DEFAULT_CHARSET = "utf-8"


def structured_payload(request: ModelRequest, *, any_type: bool, limits: InputLimits = UNLIMITED) -> StructuredPayload:
    """Return the samples of ``request``: its raw body, or its form part ``X``.

    Args:
        any_type: accept every media type, since the model decodes the bytes itself.
        limits: of the table.

    Raises:
        UnprocessableInput: there are no samples, or two parts of them.
        UnsupportedMediaType: the media type is that of no table.
    """
    upload, media_type = _samples(request, MISSING_RAW_SAMPLES if any_type else MISSING_SAMPLES)
    if upload.size == 0:
        raise UnprocessableInput("The request has no samples: the body is empty.")
    return _as_payload(upload, media_type, limits, any_type=any_type)


def target_payload(request: ModelRequest, limits: InputLimits = UNLIMITED) -> StructuredPayload | None:
    """Return the target in the form part ``y``; None without one.

    Raises:
        UnprocessableInput: there are two parts, or the part is empty.
        UnsupportedMediaType: the media type is that of no table.
    """
    part = _only_part(request, "y")
    if part is None:
        return None
    if part.size == 0:
        raise UnprocessableInput("The form part `y` is empty: leave it out, or send the target as csv.")
    return _as_payload(part, MediaType.parse(part.content_type), limits, any_type=False)


def unstructured_input(request: ModelRequest) -> UnstructuredInput:
    """Return the raw body of ``request`` with its media type, query and headers."""
    media_type = request.media_type
    return UnstructuredInput(
        file=request.body or SpooledUploadFile(),
        mimetype=media_type.essence,
        charset=media_type.charset,
        query=request.query,
        headers=request.headers.copy(),  # a hook may change them
    )


def _samples(request: ModelRequest, missing: str) -> tuple[SpooledUploadFile, MediaType]:
    if request.body is not None:
        return request.body, request.media_type
    part = _only_part(request, "X")
    if part is None:
        raise UnprocessableInput(missing)
    return part, MediaType.parse(part.content_type)


def _only_part(request: ModelRequest, name: str) -> SpooledUploadFile | None:
    parts = [part for part in request.parts if part.name == name]
    if len(parts) > 1:
        raise UnprocessableInput(f"The form has {len(parts)} parts named `{name}`; send exactly one.")
    return parts[0] if parts else None


def _as_payload(
    upload: SpooledUploadFile, media_type: MediaType, limits: InputLimits, *, any_type: bool
) -> StructuredPayload:
    payload_format = PayloadFormat.CSV if any_type else find_format(upload, media_type)
    charset = media_type.charset or DEFAULT_CHARSET
    header = declared_header(media_type)
    return StructuredPayload(upload, payload_format, charset, limits, media_type.essence, header)


def declared_header(media_type: MediaType) -> bool | None:
    """Return whether ``header`` of ``text/csv`` says that there is a header (RFC 4180); None if it says nothing.

    Raises:
        UnprocessableInput: it has another value than ``present`` and ``absent``.
    """
    value = media_type.parameters.get("header")
    if value is None:
        return None
    if value.lower() not in ("present", "absent"):
        raise UnprocessableInput("The parameter header of Content-Type is present or absent (RFC 4180).")
    return value.lower() == "present"
