"""The page ``/playground``: one document, with its style and script inside, that requests nothing of other servers."""

import base64
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_FOLDER = Path(__file__).parent / "playground"
_SCRIPTS = ("dom", "csv", "code", "requests", "results", "chart", "form", "file", "chat", "text", "main")
"""In the order of their use; together they are one module."""

_POLICY = (
    "default-src 'none'; script-src '{script}'; style-src '{style}'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types 'none'"
)
"""Allows the own script alone. With trusted types, text never becomes markup."""


@dataclass(frozen=True)
class Page:
    """A document and its content security policy."""

    content: bytes
    policy: str


@lru_cache(maxsize=2)
def playground_page(*, has_docs: bool) -> Page:
    """Return the page, with a link to ``/docs`` if that is there."""
    style = _read("style.css")
    script = "\n".join(_read(f"{name}.js") for name in _SCRIPTS)
    page = _read("page.html").replace("/*STYLE*/", style, 1).replace("/*SCRIPT*/", script, 1)
    page = page.replace("HAS_DOCS", "yes" if has_docs else "no", 1)
    return Page(page.encode(), _POLICY.format(script=_digest(script), style=_digest(style)))


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
