"""Line charts as SVG: no script, no library, colours by classes of the page's style sheet."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 560, 320
LEFT, RIGHT, TOP, BOTTOM = 64, 30, 14, 46
COLOURS = 8
"""The number of colours in the style sheet, as classes ``c0`` and so on."""

_STEPS = (1, 2, 2.5, 5, 10)
_TICKS = 5


@dataclass(frozen=True)
class Point:
    """A data point. ``note`` is its tooltip; ``is_knee`` draws a ring around it, ``spread`` a bar from low to high."""

    x: float
    y: float
    note: str
    is_knee: bool = False
    spread: tuple[float, float] | None = None

    @property
    def highest(self) -> float:
        return self.spread[1] if self.spread else self.y

    @property
    def lowest(self) -> float:
        return self.spread[0] if self.spread else self.y


@dataclass(frozen=True)
class Line:
    """A series of points, drawn in the colour of that number. ``is_dashed`` distinguishes lines of one colour."""

    name: str
    colour: int
    points: tuple[Point, ...]
    is_dashed: bool = False


@dataclass(frozen=True)
class Chart:
    """Lines on common axes. With ``steps`` only these x values occur, evenly spaced. ``is_log`` is about y."""

    title: str
    x_name: str
    y_name: str
    lines: tuple[Line, ...]
    steps: tuple[float, ...] = ()
    is_log: bool = False

    def to_svg(self) -> str:
        """Return the chart as an element of an HTML page."""
        x_of, x_ticks = self._horizontal()
        y_of, y_ticks = self._vertical()
        parts = [
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(self.title)}">',
            *(_horizontal_rule(y_of(tick), _number(tick)) for tick in y_ticks),
            *(_text(x_of(tick), HEIGHT - BOTTOM + 18, _number(tick), "middle") for tick in x_ticks),
            _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, self.x_name, "middle"),
            f'<text transform="translate(14 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">'
            f"{escape(self.y_name)}</text>",
            *(_draw(line, x_of, y_of) for line in self.lines),
            "</svg>",
        ]
        return "\n".join(parts)

    def _horizontal(self) -> tuple[Callable[[float], float], Sequence[float]]:
        low, high = LEFT, WIDTH - RIGHT
        if self.steps:
            gap = (high - low) / len(self.steps)
            positions = {step: low + (number + 0.5) * gap for number, step in enumerate(self.steps)}
            return positions.__getitem__, self.steps
        ticks = _ticks(max((point.x for line in self.lines for point in line.points), default=0))
        return lambda x: low + (high - low) * x / ticks[-1], ticks

    def _vertical(self) -> tuple[Callable[[float], float], Sequence[float]]:
        points = [point for line in self.lines for point in line.points]
        low, high = HEIGHT - BOTTOM, TOP
        if self.is_log:
            ticks = _powers([point.lowest for point in points], [point.highest for point in points])
            first, last = math.log10(ticks[0]), math.log10(ticks[-1])
            return lambda y: low + (high - low) * (math.log10(max(y, ticks[0])) - first) / (last - first), ticks
        ticks = _ticks(max((point.highest for point in points), default=0))
        return lambda y: low + (high - low) * y / ticks[-1], ticks


def _powers(lows: Sequence[float], highs: Sequence[float]) -> list[float]:
    """Return the powers of ten around the values, at least two."""
    positive = [value for value in lows if value > 0]
    first = math.floor(math.log10(min(positive, default=1.0)))
    last = math.ceil(math.log10(max([*highs, 1.0])))
    return [10.0**power for power in range(first, max(last, first + 1) + 1)]


def _ticks(highest: float) -> list[float]:
    """Return round numbers from 0 to the first one not below ``highest``."""
    highest = highest if highest > 0 else 1.0
    power = 10.0 ** math.floor(math.log10(highest / _TICKS))
    step = next(power * factor for factor in _STEPS if power * factor * _TICKS >= highest * (1 - 1e-9))
    return [step * number for number in range(math.ceil(highest / step - 1e-9) + 1)]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _horizontal_rule(y: float, label: str) -> str:
    line = f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
    return line + _text(LEFT - 6, y + 4, label, "end")


def _draw(line: Line, x_of: Callable[[float], float], y_of: Callable[[float], float]) -> str:
    positions = [(x_of(point.x), y_of(point.y), point) for point in line.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in positions)
    style = f"c{line.colour}" + (" dashed" if line.is_dashed else "")
    knees = [(x, y) for x, y, point in positions if point.is_knee]
    rings = "".join(f'<circle class="knee" cx="{x:.1f}" cy="{y:.1f}" r="9"/>' for x, y in knees)
    dots = "".join(
        f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="4"><title>{escape(point.note)}</title></circle>'
        for x, y, point in positions
    )
    bars = "".join(
        f'<line class="spread" x1="{x:.1f}" x2="{x:.1f}" y1="{y_of(point.lowest):.1f}" y2="{y_of(point.highest):.1f}"/>'
        for x, _, point in positions
        if point.spread
    )
    return f'<g class="{style}"><polyline points="{path}"/>{bars}{rings}{dots}</g>'
