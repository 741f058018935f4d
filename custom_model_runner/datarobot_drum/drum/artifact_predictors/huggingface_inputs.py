"""Texts and images as the pipelines of transformers take them; what a model cannot take is the client's error."""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Iterator, Sequence
from typing import Any

from datarobot_drum.drum.cancellation import stop_if_cancelled
from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.input_schema.selection import require_single_column

_DATA_URL = re.compile(r"data:image/[\w.+-]+;base64,")
_MAX_TOKENS = 1 << 30
"""Tokenizers without a limit have a larger one."""


def texts_of_column(data: Any, column: str) -> list[str]:
    """Return the texts of the column, or of the only one if it has another name.

    Raises:
        UnprocessableInput: there are several columns, and none has the name.
    """
    names = list(data.columns)
    if column not in names:
        require_single_column(names)
        column = names[0]
    texts: list[str] = data[column].tolist()
    return texts


def token_limit(pipeline: Any) -> int | None:
    """Return the number of tokens that the model takes; None without a limit."""
    limits = (
        getattr(pipeline.tokenizer, "model_max_length", None),
        getattr(pipeline.model.config, "max_position_embeddings", None),
    )
    known = [limit for limit in limits if isinstance(limit, int) and 0 < limit < _MAX_TOKENS]
    return min(known, default=None)


def checked_texts(pipeline: Any, texts: Sequence[str], pairs: Sequence[str] = ()) -> Iterator[str]:
    """Yield texts that the model takes as a whole; work ends when the client waits no longer.

    Args:
        pairs: second texts, with each of which the model gets every text.

    Raises:
        UnprocessableInput: a text has no tokens or too many, which the model would fail on or cut off.
        RequestCancelled: the client has disconnected.
    """
    limit = token_limit(pipeline)
    for row, text in enumerate(texts, start=1):
        stop_if_cancelled()
        counts = [_count_tokens(pipeline.tokenizer, text, pair) for pair in pairs or (None,)]
        if not min(counts):
            raise UnprocessableInput(f"The text in row {row} is empty, and the model takes none without words.")
        if limit is not None and max(counts) > limit:
            raise UnprocessableInput(
                f"The text in row {row} has {max(counts)} tokens, and the model takes {limit}: shorten it."
            )
        yield text


def _count_tokens(tokenizer: Any, text: str, pair: str | None) -> int:
    return len(tokenizer(text, pair, verbose=False)["input_ids"])


def decode_image(content: bytes, where: str = "The image") -> Any:
    """Return an image in the colours red, green and blue.

    Raises:
        UnprocessableInput: the bytes are no image that Pillow reads, or it has too many pixels.
    """
    open_image = import_from_string("PIL.Image:open")
    try:
        return open_image(io.BytesIO(content)).convert("RGB")
    except (OSError, ValueError, SyntaxError, import_from_string("PIL.Image:DecompressionBombError")) as error:
        raise UnprocessableInput(f"{where} cannot be read: {type(error).__name__}.") from error


def decode_base64_image(text: str, where: str) -> Any:
    """Return the image in a text of Base64, with or without the prefix of a data URL.

    Raises:
        UnprocessableInput: the text is no Base64; paths and addresses are never opened.
    """
    try:
        content = base64.b64decode(_DATA_URL.sub("", text, count=1), validate=True)
    except (ValueError, binascii.Error) as error:
        raise UnprocessableInput(f"{where} is no Base64 text: send the bytes of the image as Base64.") from error
    return decode_image(content, where)
