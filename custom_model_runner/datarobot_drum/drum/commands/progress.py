"""Progress on standard error, if that is a terminal: a bar by rich, or a line of text without the extra."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from datarobot_drum.drum.commands.terminal_table import uses_rich
from datarobot_drum.drum.imports import import_from_string

OnProgress = Callable[[str, float], None]
"""Takes the name of a step and its fraction done."""


@contextmanager
def progress_bar() -> Iterator[OnProgress]:
    """Yield a callback that shows a step and its fraction done; no effect without a terminal."""
    if not sys.stderr.isatty():
        yield lambda step, fraction: None
        return
    with _rich_bar() if uses_rich() else _line() as show:
        yield show


@contextmanager
def _rich_bar() -> Iterator[OnProgress]:
    """Show one step at a time, with the time that it has taken and will take."""
    progress: Any = import_from_string("rich.progress:Progress")
    elapsed: Any = import_from_string("rich.progress:TimeElapsedColumn")
    console: Any = import_from_string("rich.console:Console")(file=sys.stderr)
    columns = (*progress.get_default_columns(), elapsed())
    with progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False) as bar:
        task, shown = bar.add_task("", total=1.0, visible=False), ""

        def show(step: str, fraction: float) -> None:
            nonlocal shown
            if step != shown:
                shown = step
                bar.reset(task, description=step, visible=True)
            bar.update(task, completed=fraction)

        yield show


@contextmanager
def _line() -> Iterator[OnProgress]:
    shown = ""

    def show(step: str, fraction: float) -> None:
        nonlocal shown
        text = f"{step}: {fraction:.0%}"
        if text != shown:
            sys.stderr.write("\r" + text.ljust(len(shown)))
            sys.stderr.flush()
            shown = text

    try:
        yield show
    finally:
        sys.stderr.write(f"\r{' ' * len(shown)}\r" if shown else "")
        sys.stderr.flush()
