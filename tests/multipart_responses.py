"""Parser of ``multipart/form-data`` over the standard library, independent of the code that writes it."""

from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser


@dataclass(frozen=True)
class Part:
    """One part of a form; ``filename`` is None for a plain field."""

    content: bytes
    media_type: str
    filename: str | None

    @property
    def text(self) -> str:
        return self.content.decode("utf-8")


def parse_form(body: bytes, content_type: str) -> dict[str, Part]:
    """Return the parts by name, in the order of the body."""
    headers = f"MIME-Version: 1.0\r\nContent-Type: {content_type}\r\n\r\n".encode()
    message = BytesParser().parsebytes(headers + body)
    assert message.get_content_type() == "multipart/form-data"
    assert message.is_multipart() and not message.defects
    parts: list[Message] = message.get_payload()  # type: ignore[assignment]
    names = [str(part.get_param("name", header="content-disposition")) for part in parts]
    assert len(set(names)) == len(names)
    return dict(zip(names, map(_as_part, parts), strict=True))


def _as_part(part: Message) -> Part:
    assert part.get_content_disposition() == "form-data"
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes) and not part.defects
    return Part(content, str(part["content-type"]), part.get_filename())
