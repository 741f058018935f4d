"""The chart of the README, drawn from the figures of ``benchmarks/RESULTS.md`` as they stand there.

``make docs`` writes ``docs/pictures/benchmarks.svg``. While the page says that its figures are older than the server,
so does the chart.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "RESULTS.md"
CHART = ROOT / "docs" / "pictures" / "benchmarks.svg"

WORKLOAD = "10,000 rows, 2 clients"
TITLE = "Requests a second: 10,000 rows a request, one worker, two clients"
BODIES = "Bodies are csv for drum-... and the bare app, and the JSON of their own documentation for the others."
NAMES = {"pandas": "bare Starlette app", "mlserver-in-process": "mlserver (in process)"}
_OLDER = "**These figures are older than the current server.**"
_WIDTH, _NAMES, _BAR, _GAP, _TOP = 760, 190, 20, 8, 66

_STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-size: 15px; font-weight: 600 } .small { font-size: 12px; fill: #59636e }
  .ours { fill: #3f51b5 } .peer { fill: #9aa4b2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .small { fill: #9198a1 } .ours { fill: #8c9eff } .peer { fill: #6e7781 }
  }
"""


@dataclass(frozen=True)
class Bar:
    """The requests a second of a server, as the page has them."""

    server: str
    text: str

    @property
    def value(self) -> float:
        """The figure as a number."""
        return float(self.text.replace(",", ""))

    @property
    def is_ours(self) -> bool:
        """Whether the server is one of this project."""
        return self.server.startswith("drum-")


def read_bars(page: str, workload: str = WORKLOAD) -> list[Bar]:
    """Return the first two columns of the workload's table."""
    section = page.split(f"### {workload}\n", 1)[1].split("\n### ", 1)[0]
    header, _, *rows = re.findall(r"^\|(.+)\|$", section, flags=re.MULTILINE)
    if [cell.strip() for cell in header.split("|")[:2]] != ["server", "requests/s"]:
        raise ValueError(f"RESULTS.md has another table for {workload}: {header}")
    return [Bar(*(cell.strip() for cell in row.split("|")[:2])) for row in rows]


def draw(page: str) -> str:
    """Return the chart as SVG."""
    bars = read_bars(page)
    (measured,) = re.findall(r"^(\d{4}-\d\d-\d\d on .+?), [\d.]+ GiB", page, flags=re.MULTILINE)
    notes = [f"Measured {measured}.", BODIES]
    if _OLDER in page:
        notes.append("With an older version of this server: the figures of drum-... are to be measured again.")
    height = _TOP + len(notes) * 18 - 18 + len(bars) * (_BAR + _GAP) + 6
    label = f"{TITLE}. " + ", ".join(f"{bar.server} {bar.text}" for bar in bars) + ". " + " ".join(notes)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" role="img" '
        f'aria-label="{escape(label)}">',
        f"<style>{_STYLE}</style>",
        f'<text class="title" x="0" y="18">{TITLE}</text>',
        *(f'<text class="small" x="0" y="{40 + 18 * row}">{escape(note)}</text>' for row, note in enumerate(notes)),
        *_bar_lines(bars, height - len(bars) * (_BAR + _GAP)),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _bar_lines(bars: list[Bar], top: int) -> Iterator[str]:
    longest = max(bar.value for bar in bars)
    for row, bar in enumerate(bars):
        y = top + row * (_BAR + _GAP)
        width = round((_WIDTH - _NAMES - 60) * bar.value / longest)
        middle = y + _BAR - 5
        name = escape(NAMES.get(bar.server, bar.server))
        yield f'<text x="{_NAMES - 10}" y="{middle}" text-anchor="end">{name}</text>'
        kind = "ours" if bar.is_ours else "peer"
        yield f'<rect class="{kind}" x="{_NAMES}" y="{y}" width="{width}" height="{_BAR}" rx="3"/>'
        yield f'<text x="{_NAMES + width + 8}" y="{middle}">{escape(bar.text)}</text>'


if __name__ == "__main__":
    CHART.write_text(draw(RESULTS.read_text(encoding="utf-8")), encoding="utf-8")
