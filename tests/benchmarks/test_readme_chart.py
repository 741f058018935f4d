"""The chart of the README has the figures of the results page."""

import re

from benchmarks.compare.readme_chart import CHART, RESULTS, draw, read_bars

PAGE = RESULTS.read_text(encoding="utf-8")


def test_chart_is_that_of_the_results_page() -> None:
    assert draw(PAGE) == CHART.read_text(encoding="utf-8"), "run: make docs"


def test_chart_has_every_server_with_its_figure_and_a_bar_of_its_length() -> None:
    bars = read_bars(PAGE)
    chart = draw(PAGE)
    widths = [int(width) for width in re.findall(r'<rect class="\w+" x="\d+" y="\d+" width="(\d+)"', chart)]
    assert len(widths) == len(bars) > 5 and widths == sorted(widths, reverse=True)
    assert all(f">{bar.text}</text>" in chart for bar in bars)


def test_chart_says_that_the_figures_are_old_as_long_as_the_page_does() -> None:
    assert ("older version" in draw(PAGE)) == ("older than the current server" in PAGE)
    assert "older version" not in draw(PAGE.replace("**These figures are older", "**"))
