"""The documentation as a site: complete, without warnings, and without other hosts."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.docs.blocks import DOCS, ROOT

CONFIGURATION = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
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


def test_every_page_is_in_the_navigation_and_says_for_whom() -> None:
    pages = {path.relative_to(DOCS).as_posix(): path.read_text(encoding="utf-8") for path in DOCS.rglob("*.md")}
    listed = re.findall(r"^ +- .+: (\S+\.md)$", CONFIGURATION, flags=re.MULTILINE)
    outside = re.findall(
        r'^    "\S+": "(\S+\.md)",$', (ROOT / ".ci" / "docs_site.py").read_text("utf-8"), flags=re.MULTILINE
    )
    assert sorted(listed) == sorted([*pages, *outside])
    assert [name for name, text in pages.items() if not re.match(r"# .+\n\nFor ", text)] == []


def test_installation_page_lists_every_extra_for_users() -> None:
    extras = set(distribution("datarobot-drum").metadata.get_all("Provides-Extra", []))
    page = (DOCS / "start" / "install.md").read_text(encoding="utf-8")
    assert extras - set(re.findall(r"`([a-z-]+)`", page)) == {"deploy", "dev", "docs-site", "test"}


def test_lists_and_blocks_look_the_same_on_the_site_as_on_github() -> None:
    """Python-Markdown ends a list at an indented block, and begins neither list nor table within a paragraph."""
    merged = r"^ +```|^(?![-|>#<\d ]|\s*$)[^\n]+\n(?:- |\|)"
    for page in DOCS.rglob("*.md"):
        prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        assert [found[0] for found in re.finditer(merged, prose, re.MULTILINE)] == [], page.name


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
