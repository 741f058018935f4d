"""Draws the board ``deploy/grafana/drum.json`` with real data: ``.ci/board_picture.py docs/pictures/board.svg``.

It starts a server of two workers, a Prometheus (Debian's package) that scrapes it, and clients whose number changes.
Grafana itself is not needed: each panel's queries are sent to Prometheus, and the lines drawn as SVG.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.processes import PLAIN, free_port  # noqa: E402

BOARD = ROOT / "deploy" / "grafana" / "drum.json"
MODEL = ROOT / "examples" / "multiclass_wine"
PHASES = ((25, 1), (25, 8), (25, 32), (20, 2))
"""Seconds and clients of each phase of the load."""

STEP = 1.0
WINDOW = "5s"
WIDTH, HEIGHT, COLUMNS = 480, 190, 2
COLOURS = ("#3274d9", "#e0752d", "#37872d", "#a352cc", "#c4162a", "#8f6b00", "#5794f2")


@contextmanager
def running(*command: str, **variables: str) -> Iterator[None]:
    process = subprocess.Popen(
        command, env={**os.environ, **variables}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def wait_for(url: str) -> None:
    for _ in range(240):
        try:
            if httpx.get(url, **PLAIN).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.25)
    raise SystemExit(f"{url} did not respond in a minute.")


def load(url: str) -> None:
    """Send rows, and now and then a request that is rejected, from a number of clients that changes."""
    header, *rows = (MODEL / "sample.csv").read_text(encoding="utf-8").splitlines()
    for seconds, clients in PHASES:
        end = time.monotonic() + seconds
        threads = [threading.Thread(target=_send, args=(url, header, rows, end, number)) for number in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _send(url: str, header: str, rows: list[str], end: float, number: int) -> None:
    with httpx.Client(timeout=30, headers={"Content-Type": "text/csv"}, **PLAIN) as client:
        count = number
        while time.monotonic() < end:
            count += 1
            sent = rows[: 1 + count % len(rows)]
            client.post(url, content="\n".join([header, *([] if count % 40 == 0 else sent), ""]))
            time.sleep(0.05)


def query(port: int, expression: str, start: float, end: float) -> list[dict[str, Any]]:
    text = expression.replace("$instance", ".*").replace("$__rate_interval", WINDOW)
    parameters = {"query": text, "start": start, "end": end, "step": STEP}
    response = httpx.get(f"http://127.0.0.1:{port}/api/v1/query_range", params=parameters, **PLAIN)
    response.raise_for_status()
    found: list[dict[str, Any]] = response.json()["data"]["result"]
    return found


def lines_of(panel: dict[str, Any], port: int, start: float, end: float) -> dict[str, list[tuple[float, float]]]:
    """Return the points of each line of a panel that is not always zero, by its legend."""
    lines = {}
    for target in panel["targets"]:
        for series in query(port, target["expr"], start, end):
            legend = target.get("legendFormat", "")
            for name, value in series["metric"].items():
                legend = legend.replace("{{" + name + "}}", value)
            points = [(moment - start, float(value)) for moment, value in series["values"] if value != "NaN"]
            if any(value for _, value in points):
                lines[legend] = points
    return lines


def draw(panel: dict[str, Any], lines: dict[str, list[tuple[float, float]]], x: int, y: int, seconds: float) -> str:
    """Return a panel as SVG."""
    unit = panel["fieldConfig"]["defaults"].get("unit", "")
    top = max(value for points in lines.values() for _, value in points) or 1.0
    left, bottom, width, height = x + 62, y + 150, WIDTH - 80, 112
    parts = [
        f'<rect x="{x}" y="{y}" width="{WIDTH - 8}" height="{HEIGHT - 8}" fill="white" stroke="#d8d8d8"/>',
        f'<text x="{x + 10}" y="{y + 20}" font-weight="bold">{escape(panel["title"])}</text>',
    ]
    for share in (0.0, 0.5, 1.0):
        height_at = bottom - share * height
        parts.append(f'<path d="M{left} {height_at}h{width}" stroke="#e8e8e8"/>')
        label = escape(text_of(share * top, unit))
        parts.append(f'<text x="{left - 6}" y="{height_at + 4}" text-anchor="end" fill="#555">{label}</text>')
    for number, (legend, points) in enumerate(sorted(lines.items())[: len(COLOURS)]):
        colour = COLOURS[number]
        path = " ".join(f"{left + at / seconds * width:.1f},{bottom - v / top * height:.1f}" for at, v in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        place = left + number * (width // min(len(lines), len(COLOURS)))
        parts.append(f'<text x="{place}" y="{y + 172}" fill="{colour}">{escape(legend[:26])}</text>')
    return "\n".join(parts)


def text_of(value: float, unit: str) -> str:
    if unit == "percentunit":
        return f"{100 * value:.3g} %"
    if unit == "bytes":
        return f"{value / 2**20:.3g} MiB" if value >= 2**20 else f"{value:.0f} B"
    if unit == "s":
        return f"{1000 * value:.3g} ms" if value < 1 else f"{value:.3g} s"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def main() -> None:
    program = shutil.which("prometheus")
    if program is None:
        raise SystemExit("There is no prometheus: install Debian's package of that name.")
    port, management, prometheus = free_port(), free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder) / "prometheus.yaml"
        scrape = {"job_name": "drum", "static_configs": [{"targets": [f"127.0.0.1:{management}"]}]}
        times = {"scrape_interval": "1s", "scrape_timeout": "1s"}
        configuration.write_text(json.dumps({"global": times, "scrape_configs": [scrape]}), encoding="utf-8")
        words = [sys.executable, "-m", "datarobot_drum", "server", str(MODEL), "--server", "fastapi"]
        server = running(
            *words, "--address", f"127.0.0.1:{port}", DRUM_MANAGEMENT_PORT=str(management), CUSTOM_MODEL_WORKERS="2"
        )
        flags = (f"--config.file={configuration}", f"--storage.tsdb.path={folder}/data")
        with server, running(program, *flags, f"--web.listen-address=127.0.0.1:{prometheus}"):
            wait_for(f"http://127.0.0.1:{management}/readyz")
            wait_for(f"http://127.0.0.1:{prometheus}/-/ready")
            start = time.time()
            load(f"http://127.0.0.1:{port}/predict/")
            end = time.time()
            panels = [
                panel for panel in json.loads(BOARD.read_text(encoding="utf-8"))["panels"] if "table" != panel["type"]
            ]
            found = [(panel, lines_of(panel, prometheus, start, end)) for panel in panels]
    shown = [(panel, lines) for panel, lines in found if lines]
    rows = -(-len(shown) // COLUMNS)
    parts = [
        draw(panel, lines, number % COLUMNS * WIDTH + 4, number // COLUMNS * HEIGHT + 4, end - start)
        for number, (panel, lines) in enumerate(shown)
    ]
    size = f'width="{COLUMNS * WIDTH}" height="{rows * HEIGHT}" viewBox="0 0 {COLUMNS * WIDTH} {rows * HEIGHT}"'
    style = 'font-family="sans-serif" font-size="11"'
    background = '<rect width="100%" height="100%" fill="#f4f5f5"/>'
    text = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n{background}\n' + "\n".join(parts) + "\n</svg>\n"
    Path(sys.argv[1]).write_text(text, encoding="utf-8")
    print(f"Written: {sys.argv[1]}, {len(shown)} panels of {len(found)} with data.")


if __name__ == "__main__":
    main()
