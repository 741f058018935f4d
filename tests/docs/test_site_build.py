"""The documentation as a site: without warnings, and without other hosts."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT

_LOADING = {"script": "src", "img": "src", "iframe": "src", "link": "href", "source": "src"}
_NOT_LOADED = {"canonical", "next", "prev"}


class _Loaded(HTMLParser):
    """The addresses that a page loads by itself."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag in _LOADING and attributes.get("rel") not in _NOT_LOADED:
            self.addresses.append(attributes.get(_LOADING[tag]) or "")


def _foreign(site: Path) -> Iterator[str]:
    """Yield what pages and styles load from other hosts."""
    for page in site.rglob("*.html"):
        for address in _Loaded(page.read_text(encoding="utf-8")).addresses:
            if re.match(r"(?:https?:)?//", address):
                yield f"{page.name}: {address}"
    for style in site.rglob("*.css"):
        yield from re.findall(r"(?:@import|url\()\s*[\"']?https?:[^)\"']+", style.read_text(encoding="utf-8"))


@pytest.mark.skipif(find_spec("material") is None, reason="the extra docs-site is not installed: make docs-site")
def test_site_builds_without_a_warning_and_loads_nothing_from_other_hosts(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    built = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True
    )
    assert built.returncode == 0 and "WARNING" not in built.stderr, built.stderr
    assert list(_foreign(tmp_path)) == []
    index = (tmp_path / "search" / "search_index.js").read_text(encoding="utf-8")
    assert "DRUM_EXECUTOR_QUEUE_TIMEOUT" in index and (tmp_path / "assets" / "iframe-worker.js").is_file()
