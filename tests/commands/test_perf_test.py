"""``drum perf-test`` on real servers: table, report, exit codes, cleanup; and the knee."""

import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest

from datarobot_drum.drum.cli import parse_arguments
from datarobot_drum.drum.commands.perf_test.command import measure
from datarobot_drum.drum.commands.perf_test.comparison import compare, different_facts
from datarobot_drum.drum.commands.perf_test.knee import find_knee, knees_by_rows
from datarobot_drum.drum.commands.perf_test.load import Endpoint, LoadLevel, Measurement, measure_level
from datarobot_drum.drum.commands.perf_test.saved_run import read_run, save_run
from datarobot_drum.drum.commands.perf_test.table import COLUMNS
from datarobot_drum.drum.commands.samples import Body
from datarobot_drum.drum.exceptions import UsageError
from tests.cases import each_case
from tests.cli.commands import drum, write_model
from tests.commands import chromium
from tests.processes import clean_environment

MODEL = """
import pandas as pd


def load_model(code_dir):
    return "model"


def score(data, model):
    return pd.DataFrame({"Predictions": data["number"] * 2.0})
"""

FAILING = (
    MODEL
    + """

def transform(data, model, calls=[]):
    calls.append(len(data))
    if len(calls) % 3 == 0:
        raise ValueError("every third request fails")
    return data
"""
)

SLEEPING = """
import time
from collections import Counter
from pathlib import Path


def load_model(code_dir):
    return "model"


def score(data, model):
    (Path(__file__).parent / "entered").touch()
    time.sleep(1000)
"""


def _words(folder: Path, code: str, *words: str) -> list[str]:
    model = write_model(folder, code)
    samples = folder / "samples.csv"
    samples.write_text('number,text\n1,a\n2,\n3,"c, d"\n', encoding="utf-8")
    flags = ["--code-dir", str(model), "--target-type", "regression", "--input", str(samples), "--duration", "1"]
    return ["perf-test", *flags, *words]


def _rows(output: str) -> list[dict[str, str]]:
    lines = [re.split(r"\s{2,}", line.strip()) for line in output.split("\n\n")[0].splitlines()]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]


def _processes_on(folder: Path) -> list[psutil.Process]:
    return [one for one in psutil.process_iter(["cmdline"]) if str(folder) in " ".join(one.info["cmdline"] or [])]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    folder = tmp_path_factory.mktemp("perf & <test>")
    report = folder / "report.html"
    files = ("--report", str(report), "--save", str(folder / "run.json"))
    words = _words(folder, MODEL, "--batch-sizes", "20,1", "--concurrency", "1", "3", *files)
    return drum(*words, environment={"DRUM_SERVER_TYPE": "fastapi", "URL_PREFIX": "/a/b"}), folder


@pytest.mark.process
def test_table_has_a_row_per_load_level_in_ascending_order(measured: tuple[Any, Path]) -> None:
    finished, folder = measured
    assert (finished.returncode, finished.stderr) == (0, "")
    rows = _rows(finished.stdout)
    assert list(rows[0]) == [name for name, _ in COLUMNS]
    assert [(row["rows"], row["clients"]) for row in rows] == [("1", "1"), ("1", "3"), ("20", "1"), ("20", "3")]
    for row in rows:
        latencies = [float(row[f"{name} ms"]) for name in ("min", "p50", "p95", "p99", "max")]
        assert latencies == sorted(latencies) and latencies[0] > 0
        assert float(row["requests/s"]) * int(row["rows"]) == pytest.approx(float(row["rows/s"]), rel=0.05, abs=1)
        assert int(row["requests"]) >= int(row["clients"])
        assert (row["errors"], float(row["server RSS MB"]) > 20) == ("0", True)
    knees = re.findall(r"^Knee for (1 row|20 rows) a request: [13] clients?, ", finished.stdout, flags=re.MULTILINE)
    assert knees == ["1 row", "20 rows"] and "\nHighest rate: " in finished.stdout
    assert '"format": "drum perf-test"' in (folder / "run.json").read_text(encoding="utf-8")
    assert not _processes_on(folder)


@pytest.mark.process
@pytest.mark.skipif(chromium.BROWSER is None, reason=chromium.MISSING)
def test_report_shows_five_charts_without_network_or_console_errors(measured: tuple[Any, Path], tmp_path: Path) -> None:
    _, folder = measured
    report = folder / "report.html"
    blank = tmp_path / "blank.html"
    blank.write_text("<!DOCTYPE html><title>blank</title>")
    shapes = "[...document.querySelectorAll('svg')].map(svg => svg.querySelectorAll('circle.dot').length)"
    seen = chromium.visit(report, tmp_path / "profile", f"({shapes}).concat(document.querySelectorAll('tr').length)")
    assert seen.found == [4, 8, 4, 4, 4, 5]
    narrow = chromium.visit(report, tmp_path / "phone", chromium.OVERFLOW, chromium.PHONE_WIDTH)
    assert narrow.found == 0
    assert seen.problems == []
    assert [url for url in seen.requests if not url.startswith("data:")] == [report.as_uri()]
    assert seen.screenshot.startswith(b"\x89PNG")
    assert len(seen.screenshot) > 5 * len(chromium.visit(blank, tmp_path / "profile").screenshot)


@pytest.mark.process
def test_failed_requests_are_counted_and_exit_code_is_1(tmp_path: Path) -> None:
    finished = drum(*_words(tmp_path, FAILING, "--batch-sizes", "1", "--concurrency", "1"))
    (row,) = _rows(finished.stdout)
    assert finished.returncode == 1
    assert 0 < int(row["errors"]) < int(row["requests"])
    assert "requests failed" in finished.stderr and "every third request fails" in finished.stderr


@pytest.mark.process
def test_keys_in_the_file_of_parameters_do_not_hold_for_the_own_server(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("a-key-that-the-command-does-not-send\n", encoding="utf-8")
    parameters = tmp_path / "parameters.yaml"
    lines = (
        f"DRUM_API_KEYS_FILE: {tmp_path / 'keys'}",
        "DRUM_RATE_LIMIT: 1/day",
        "DRUM_SERVER_TYPE: fastapi",
    )
    parameters.write_text("\n".join(lines), encoding="utf-8")
    words = ("--batch-sizes", "1", "--concurrency", "1", "--runtime-params-file", str(parameters))
    finished = drum(*_words(tmp_path, MODEL, *words))
    (row,) = _rows(finished.stdout)
    assert (finished.returncode, row["errors"]) == (0, "0"), finished.stderr


@pytest.mark.process
def test_ctrl_c_stops_the_server(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "datarobot_drum", *_words(tmp_path, SLEEPING, "--timeout", "60")]
    process = subprocess.Popen(words, env=clean_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (tmp_path / "model" / "entered").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    psutil.wait_procs(_processes_on(tmp_path), timeout=30)
    assert not _processes_on(tmp_path)


def test_clients_stop_waiting_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = Endpoint(silent.getsockname()[1], "/", Body(b"x\n1\n", "text/csv"), {})
        measurement = measure_level(LoadLevel(1, 3), endpoint, 60.0, time.monotonic() + 0.2, lambda: 5)
    assert measurement.failures == {"no response: TimeoutError timed out": 3}
    assert (measurement.latencies, measurement.requests, measurement.memory) == ((), 3, 5)


@pytest.mark.process
def test_failed_model_load_is_reported_in_one_sentence(tmp_path: Path) -> None:
    finished = drum(*_words(tmp_path, "def load_model(code_dir):\n    raise ValueError('no such weights')\n"))
    assert finished.returncode == 1
    sentence = "The hook load_model failed: custom.py, line 2: ValueError: no such weights."
    assert finished.stderr.startswith(f"drum: error: {sentence}")
    assert len(finished.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--batch-sizes", "0", "1"], "--batch-sizes must be 1 or more, not 0."),
        (["--timeout", "0"], "--timeout must be 1 or more, not 0."),
        (["--target-type", "unstructured"], "an unstructured model cannot be measured."),
        (
            ["--report", "no/such/folder/x.html"],
            "--report no/such/folder/x.html must name a file in a folder that exists.",
        ),
        (["--input", "missing.csv"], "--input missing.csv is not a file."),
    ],
    ids=["size", "timeout", "unstructured", "report", "input"],
)
@pytest.mark.usefixtures("clean_environment")
def test_unmeasurable_arguments_raise_usage_error(tmp_path: Path, words: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        measure(parse_arguments(_words(tmp_path, MODEL, *words)))
    assert str(caught.value).endswith(message)


def _measured(clients: int, latency: float, requests: int, rows: int = 1) -> Measurement:
    return Measurement(LoadLevel(rows, clients), (latency,) * requests, 1.0, 0)


def test_knee_has_the_greatest_throughput_over_latency() -> None:
    # Four workers of 10 ms a request: throughput grows to four clients, then latency does.
    curve = [_measured(1, 0.01, 100), _measured(2, 0.01, 200), _measured(4, 0.01, 400), _measured(8, 0.02, 400)]
    other = [_measured(1, 0.02, 50, rows=10), _measured(8, 0.16, 50, rows=10)]
    assert find_knee(curve) is curve[2]
    assert knees_by_rows([*curve, *other]) == {1: curve[2], 10: other[0]}


def test_knee_needs_two_measurements_without_failures() -> None:
    failed = Measurement(LoadLevel(1, 4), (0.001,), 1.0, 0, Counter({"status 500: no": 1}))
    assert find_knee([_measured(1, 0.01, 100), failed]) is None


@pytest.mark.parametrize(("share", "value"), [(0.0, 1.0), (0.5, 2.0), (0.75, 3.0), (0.95, 4.0), (1.0, 4.0)])
def test_percentile_uses_nearest_rank(share: float, value: float) -> None:
    assert Measurement(LoadLevel(1, 1), (4.0, 1.0, 3.0, 2.0), 1.0, 0).percentile(share) == value


def _steady(rows: int, clients: int, per_second: float, seconds: float = 10.0) -> Measurement:
    count = int(per_second * seconds / rows)
    moments = tuple((number + 0.5) * seconds / count for number in range(count))
    return Measurement(LoadLevel(rows, clients), (0.01,) * count, seconds, 1, Counter(), moments)


def test_spread_is_that_of_equal_parts_of_a_measurement() -> None:
    assert list(_steady(10, 1, 1000).spread) == [1000, 1000]
    uneven = Measurement(LoadLevel(1, 1), (0.1,) * 40, 10.0, 1, Counter(), (*[1.0] * 30, *[9.0] * 10))
    assert list(uneven.spread) == [0, 15]
    assert list(Measurement(LoadLevel(1, 1), (), 10.0, 1).spread) == [0, 0]


def test_a_change_counts_if_it_exceeds_the_spread_of_both_runs(tmp_path: Path) -> None:
    before = [_steady(1, 1, 100), _steady(1, 2, 200), _steady(1, 4, 300), _steady(1, 8, 300)]
    file = tmp_path / "run.json"
    save_run(file, [("server", "flask"), ("date", "then")], before)
    wide = Measurement(LoadLevel(1, 4), (0.1,) * 1000, 10.0, 1, Counter(), (*[1.0] * 900, *[9.0] * 100))
    changes = compare(read_run(str(file)), [_steady(1, 1, 150), _steady(1, 2, 100), wide, _steady(1, 16, 1)])
    assert [change.verdict for change in changes] == ["faster", "slower", "within the spread"]
    assert changes[0].cells[:5] == ("1", "1", "100", "150", "+50.0 %")
    facts = [("server", "fastapi"), ("date", "now")]
    assert list(different_facts(read_run(str(file)), facts)) == ["server: flask before, fastapi now"]


@each_case("text", ["", "[]", "{}", '{"format": "drum perf-test", "version": 1, "facts": {}, "measurements": [{}]}'])
def test_another_file_is_no_saved_run(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="is not a run"):
        read_run(str(tmp_path / "run.json"))
    with pytest.raises(UsageError, match="cannot be read"):
        read_run(str(tmp_path / "none.json"))


@pytest.mark.process
def test_a_chat_is_measured_with_the_request_of_the_file(tmp_path: Path) -> None:
    model = write_model(tmp_path, "def chat(params, model):\n    return params['messages'][0]['content']\n")
    (tmp_path / "chat.json").write_text('{"messages": [{"role": "user", "content": "Hello"}]}', encoding="utf-8")
    words = ("perf-test", model, "--target-type", "textgeneration", "--input", tmp_path / "chat.json")
    finished = drum(*words, "--concurrency", "2", "--duration", "1", environment={"TARGET_NAME": "answer"})
    (row,) = _rows(finished.stdout)
    assert (finished.returncode, row["rows"], row["errors"]) == (0, "1", "0"), finished.stderr
