"""The pages of the documentation as a site: complete, and looking as on GitHub."""

import re
from importlib.metadata import distribution

from tests.docs.blocks import DOCS, ROOT

CONFIGURATION = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")


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
