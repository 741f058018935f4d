"""MkDocs hooks: pages from outside ``docs/``, and links to what the site does not have."""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = {
    "benchmarks/README.md": "development/benchmarks.md",
    "benchmarks/RESULTS.md": "development/results.md",
    "CHANGELOG.md": "development/changelog.md",
    "SECURITY.md": "operate/vulnerabilities.md",
}
"""Pages of the repository, and where the site has them."""

_SOURCES = {place: source for source, place in OUTSIDE.items()}
_LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
_BLOCK = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
_CODE_IN_ROW = re.compile(r"`[^`]*`")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that live elsewhere in the repository."""
    for source, place in OUTSIDE.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Turn links between files of the repository into links of the site; those to other files become plain text."""
    place = page.file.src_uri
    folder = posixpath.dirname(_SOURCES.get(place, f"docs/{place}"))

    def of_the_site(found: re.Match[str]) -> str:
        text, target, anchor = found[1], found[2], found[3] or ""
        if re.match(r"[a-z]+:", target):
            return found[0]
        path = posixpath.normpath(posixpath.join(folder, target))
        inside = OUTSIDE.get(path, path.removeprefix("docs/") if path.startswith("docs/") else "")
        return f"[{text}]({posixpath.relpath(inside, posixpath.dirname(place))}{anchor})" if inside else text

    prose_and_blocks = _BLOCK.split(markdown)
    prose_and_blocks[::2] = [_unescape_bars(_LINK.sub(of_the_site, prose)) for prose in prose_and_blocks[::2]]
    return "".join(prose_and_blocks)


def _unescape_bars(prose: str) -> str:
    """Unescape the bars within code of tables: here, other than on GitHub, the backslash would be shown."""
    lines = [
        _CODE_IN_ROW.sub(lambda code: code[0].replace(r"\|", "|"), line) if line.startswith("|") else line
        for line in prose.split("\n")
    ]
    return "\n".join(lines)
