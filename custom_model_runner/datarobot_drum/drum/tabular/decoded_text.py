"""Decode a binary file to text, chunk by chunk."""

import codecs
import re
from collections.abc import Iterator

from datarobot_drum.drum.cancellation import stop_if_cancelled
from datarobot_drum.drum.exceptions import UnprocessableInput
from datarobot_drum.drum.tabular.payload import BinaryFile

_CHUNK_BYTES = 256 * 1024

_NOT_CHARSETS = frozenset({"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"})
"""Text encodings of Python that are no charsets; some take quadratic time, some warn."""


_LONE_RETURN = re.compile("\r(?!\n)")


def find_codec(name: str) -> codecs.CodecInfo:
    """Return the codec of a charset; for UTF-8, one that accepts a byte order mark.

    Raises:
        UnprocessableInput: the charset is unknown.
    """
    try:
        codec = codecs.lookup(name)
    except (LookupError, ValueError) as error:  # ValueError: NUL or half a surrogate pair in the name
        raise _unknown_charset(name) from error
    if codec.name.replace("_", "-") in _NOT_CHARSETS or not getattr(codec, "_is_text_encoding", True):
        raise _unknown_charset(name)
    return codecs.lookup("utf-8-sig") if codec.name == "utf-8" else codec


def _unknown_charset(name: str) -> UnprocessableInput:
    return UnprocessableInput(f"The charset {name[:40]!r} is not known.")


class DecodedText:
    """A text file for pandas: ``read`` returns text, and an empty string at the end.

    It protects the C parser of pandas. NUL characters, which end a C string, are rejected. A carriage return without a
    line feed becomes a line feed: a few of them in a row make pandas before 3.1 exhaust the memory.
    """

    def __init__(self, file: BinaryFile, charset: str) -> None:
        self._file = file
        self._charset = charset
        self._decoder = find_codec(charset).incrementaldecoder("strict")
        self._pending = ""
        self.head = ""
        """The first chunk that was read."""
        self.has_fitting_row = False
        """True if the first row of a csv is known to have no more fields than its header."""

    def read(self, size: int = -1) -> str:
        text = ""
        while not text:
            chunk = self._file.read(size if size and size > 0 else _CHUNK_BYTES)
            text = self._with_line_feeds(self._decode(chunk), is_last=not chunk)
            if not chunk:
                break
            if self.head:
                stop_if_cancelled()
        self.head = self.head or text
        return text

    def _decode(self, chunk: bytes) -> str:
        try:
            text = self._decoder.decode(chunk, final=not chunk)
        except UnicodeError as error:
            raise UnprocessableInput(
                f"The body is not {self._charset} text: send it in UTF-8 or name its charset in Content-Type."
            ) from error
        if "\0" in text:
            raise UnprocessableInput("The body holds NUL characters, so it is no text.")
        return text

    def _with_line_feeds(self, text: str, *, is_last: bool) -> str:
        """Replace lone carriage returns; one at the end of a chunk is kept for the next."""
        text, self._pending = self._pending + text, ""
        if text.endswith("\r") and not is_last:
            text, self._pending = text[:-1], "\r"
        has_lone = "\r" in text and text.count("\r") != text.count("\r\n")
        return _LONE_RETURN.sub("\n", text) if has_lone else text

    def __iter__(self) -> Iterator[str]:
        return iter(self.read, "")
