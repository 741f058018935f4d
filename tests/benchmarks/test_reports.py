"""Reports of a run that was made up: tables, plots and the results page say what its figures say."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks.compare.__main__ import order_of, parse, write
from benchmarks.compare.results_page import NOT_MEASURED, read_reasons, write_results_page
from benchmarks.compare.tables import losses, tables_of
from benchmarks.compare.workloads import WORKLOADS

LOAD = {"p50_ms": 2.0, "p99_ms": 9.0, "cpu_ms": 1.0, "peak_mib": 100.0}


def measured(number: int, server: str, workload: str, **values: float) -> dict[str, Any]:
    return {"round": number, "server": server, "workload": workload, "values": values}


def asked(number: int, server: str, workload: str, rate: float) -> dict[str, Any]:
    return measured(number, server, workload, requests_per_second=rate, **LOAD)


@pytest.fixture
def document() -> dict[str, Any]:
    """Two rounds, the second twice as slow; MLServer twice as fast as we are with 100 rows."""
    rates = {"pandas": 100, "drum-fastapi": 250, "litserve": 150}
    rounds = [asked(number, server, "one-row-16", rate / number) for number in (1, 2) for server, rate in rates.items()]
    return {
        "machine": {
            "date": "2030-01-02 03:04 UTC",
            "processor": "A <fast> one",
            "cores": 2,
            "memory_gib": 8.0,
            "system": "Linux 6.1 x86_64",
            "python": "3.11.7",
        },
        "order": {
            "rounds": 2,
            "pace": {"seconds": 5.0, "warm": 1.0},
            "cores": {"server": [0], "load": [1]},
        },
        "versions": {"drum": {"python": "3.11.7", "pandas": "3.0"}, "litserve": {"litserve": "0.2"}},
        "measurements": [
            *rounds,
            asked(1, "echo", "no-op", 1000.0),
            asked(1, "drum-no-op", "no-op", 800.0),
            asked(1, "pandas", "rows-100", 100.0),
            asked(1, "drum-fastapi", "rows-100", 200.0),
            asked(1, "mlserver", "rows-100", 400.0),
        ],
        "left_out": {"mlflow": "it <never> starts"},
        "stages": {"read the row: pandas.read_csv": 600.4},
    }


def test_ratios_do_not_show_a_slow_round(document: dict[str, Any]) -> None:
    table = next(table for table in tables_of(document) if table.workload.name == "one-row-16")
    assert [line.server for line in table.lines] == ["drum-fastapi", "litserve", "pandas"]
    cell = table.lines[0].cells["requests_per_second"]
    assert (cell.figure.median, cell.figure.least, cell.figure.most) == (187.5, 125.0, 250.0)
    assert cell.ratio and (cell.ratio.least, cell.ratio.median, cell.ratio.most) == (2.5, 2.5, 2.5)


def test_a_no_op_is_held_against_the_echo(document: dict[str, Any]) -> None:
    table = next(table for table in tables_of(document) if table.workload.name == "no-op")
    line = table.find("drum-no-op")
    assert table.baseline == "echo"
    assert line and line.cells["requests_per_second"].ratio
    assert line.cells["requests_per_second"].ratio.median == 0.8


def test_losses_are_told_with_who_won(document: dict[str, Any]) -> None:
    found = [
        (table.workload.name, ours.server, other.server)
        for table, metric, ours, other in losses(tables_of(document))
        if metric.key == "requests_per_second"
    ]
    assert found == [("rows-100", "drum-fastapi", "mlserver"), ("no-op", "drum-no-op", "echo")]


def test_the_results_page_is_filled_in(document: dict[str, Any]) -> None:
    page = write_results_page(document)
    assert "{{" not in page
    assert "2030-01-02 03:04 UTC on A <fast> one, 2 cores" in page
    assert "| drum-fastapi | 188 | 2.50 (2.50 to 2.50) |" in page
    assert "1.50 (1.50 to 1.50) (`litserve`)" in page
    assert "**100 rows, 8 clients**, requests/s: `drum-fastapi` 200 against `mlserver` 400." in page
    assert "| read the row: pandas.read_csv | 600 |" in page
    assert "- `mlflow`: it <never> starts" in page
    assert NOT_MEASURED in page, "uploads were not"


def test_there_is_a_reason_for_each_workload_that_may_be_lost() -> None:
    assert set(read_reasons()) == set(WORKLOADS) - {"imports"}


def test_files_of_a_run(document: dict[str, Any], tmp_path: Path) -> None:
    write(document, tmp_path / "out", tmp_path / "RESULTS.md")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "results.html",
        "results.json",
        "results.md",
    ]
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == document
    assert (tmp_path / "RESULTS.md").read_text() == write_results_page(document)


def test_the_page_needs_nothing_else(document: dict[str, Any], tmp_path: Path) -> None:
    write(document, tmp_path, None)
    page = (tmp_path / "results.html").read_text()
    drawings = [part.partition("</svg>")[0] + "</svg>" for part in page.split("<svg")[1:]]
    assert len(drawings) == 6
    for drawing in drawings:
        ElementTree.fromstring("<svg" + drawing)
    assert "A &lt;fast&gt; one" in page and "it &lt;never&gt; starts" in page
    assert "src=" not in page and "href=" not in page


def test_a_quick_run_has_the_important_workloads_and_no_more_peers_than_named() -> None:
    order = order_of(parse(["--quick", "--peers", "mlserver"]))
    assert {"one-row-16", "no-op", "start"} <= set(order.workloads) < set(WORKLOADS)
    assert {"mlserver", "mlserver-in-process", "pandas", "drum-flask"} <= set(order.servers)
    assert not {"litserve", "bentoml", "mlflow", "rayserve"} & set(order.servers)
    assert set(asdict(order)["cores"]["load"]) or order.cores.load == ()


def test_only_servers_with_one_of_the_workloads_run() -> None:
    assert order_of(parse(["--workloads", "no-op"])).servers == ["echo", "drum-no-op"]
    with pytest.raises(SystemExit):
        order_of(parse(["--workloads", "upload", "--servers", "echo"]))
