"""The fenced blocks of the documentation, and the comments that say how each is tested."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]

_BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>not run|run by): (?P<detail>[^\n]+?) -->\n)?"
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_FILE_NAME = re.compile(r"# ((?:[\w.-]+/)*[\w-]+\.(?:py|yaml))\n")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    ``not_run`` is the reason of the comment ``<!-- not run: reason -->`` before it, ``run_by`` the test that
    ``<!-- run by: tests/... -->`` names. A block without a comment is run with its page.
    """

    page: Path
    line: int
    language: str
    text: str
    not_run: str = ""
    run_by: str = ""

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def runs_with_page(self) -> bool:
        """Whether the page's own test runs the block."""
        return not (self.not_run or self.run_by)

    @property
    def file_name(self) -> str | None:
        """The file that the block's first line names, such as ``# my-model/custom.py``."""
        found = _FILE_NAME.match(self.text)
        return found.group(1) if found else None

    @property
    def is_client(self) -> bool:
        """Whether the block is a program that sends requests to the server of its page."""
        return self.language == "python" and bool(re.search(r"(?:127\.0\.0\.1|localhost):80", self.text))


def read_blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(text):
        mark, detail = found["mark"], found["detail"] or ""
        yield Block(
            page=page,
            line=text.count("\n", 0, found.start("language")) + 1,
            language=found["language"],
            text=re.sub(rf"^{found['indent']}", "", found["text"], flags=re.MULTILINE),
            not_run=detail if mark == "not run" else "",
            run_by=detail if mark == "run by" else "",
        )


BLOCKS = [block for page in PAGES for block in read_blocks(page)]
