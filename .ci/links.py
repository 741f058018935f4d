"""Check the relative links of all Markdown pages: the file is there, and so is the heading of an anchor.

``python .ci/links.py [FOLDER]`` lists each broken link with its line; exit code 1 if there is one.
"""

import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote

_IGNORED = {"node_modules", "build", "dist"}
_FENCE = re.compile(r"^ *(`{3,}|~{3,})")
_LINK = re.compile(r"\]\(\s*<?([^)<>\s]+)>?(?:\s+\"[^\"]*\")?\s*\)|<(?:img|a)\b[^>]*?(?:src|href)=\"([^\"]+)\"")
_EXTERNAL = re.compile(r"[a-z][a-z0-9+.-]*:|//", re.IGNORECASE)


def pages(root: Path) -> Iterator[Path]:
    """Yield the Markdown pages below a folder, without those of hidden and made folders."""
    for path in sorted(root.rglob("*.md")):
        parts = path.relative_to(root).parts
        if not any(part.startswith(".") or part in _IGNORED for part in parts):
            yield path


def prose(text: str) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines outside fenced blocks, without inline code."""
    fence = ""
    for number, line in enumerate(text.splitlines(), 1):
        if found := _FENCE.match(line):
            if not fence:
                fence = found.group(1)
            elif found.group(1).startswith(fence):
                fence = ""
        elif not fence:
            yield number, re.sub(r"`[^`]*`", "", line)


@cache
def anchors(path: Path) -> frozenset[str]:
    """Return the anchors of a page's headings, as GitHub names them, and those set by hand."""
    text = path.read_text(encoding="utf-8")
    found: list[str] = re.findall(r"<a (?:id|name)=\"([^\"]+)\"", text)
    numbers = {number for number, _ in prose(text)}
    for number, line in enumerate(text.splitlines(), 1):
        if number in numbers and (heading := re.match(r"#{1,6} +(.+?) *#*$", line)):
            slug = _slug(heading.group(1))
            repeated = sum(1 for other in found if re.fullmatch(rf"{re.escape(slug)}(-\d+)?", other))
            found.append(f"{slug}-{repeated}" if slug in found else slug)
    return frozenset(found)


def _slug(heading: str) -> str:
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", plain).strip().lower().replace(" ", "-")


def broken_links(root: Path) -> Iterator[str]:
    """Yield a sentence for each link that leads nowhere."""
    for page in pages(root):
        for number, line in prose(page.read_text(encoding="utf-8")):
            for link, attribute in _LINK.findall(line):
                if problem := _problem(page, link or attribute):
                    yield f"{page.relative_to(root)}:{number}: {link or attribute}: {problem}"


def _problem(page: Path, link: str) -> str | None:
    if _EXTERNAL.match(link):
        return None
    path, _, anchor = unquote(link).partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists():
        return "no such file"
    if anchor and target.suffix == ".md" and anchor not in anchors(target):
        return "no such heading"
    return None


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1]
    problems = list(broken_links(folder))
    print(*problems, sep="\n", end="\n" if problems else "")
    sys.exit(bool(problems))
