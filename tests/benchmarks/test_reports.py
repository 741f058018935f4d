"""Reports of a synthetic run: tables, plots and the results page."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks.compare.__main__ import make_plan, open_results, parse, write
from benchmarks.compare.measurements import STANDALONE
from benchmarks.compare.results import Results, read_results
from benchmarks.compare.results_page import NOT_MEASURED, read_reasons, write_results_page
from benchmarks.compare.tables import losses, tables_of
from benchmarks.compare.targets import Target, evaluate
from benchmarks.compare.workloads import WORKLOADS

LOAD = {"p50_ms": 2.0, "p99_ms": 9.0, "cpu_ms": 1.0, "peak_mib": 100.0, "load_percent": 12.0}
MACHINE = {
    "processor": "A <fast> one",
    "cores": 2,
    "memory_gib": 8.0,
    "system": "Linux 6.1 x86_64",
    "python": "3.11.7",
}
RUN = {
    "date": "2030-01-02 03:04 UTC",
    "load_before": 0.25,
    "first_round": 1,
    "pace": {"seconds": 3.0, "warm": 1.0},
    "cores": {"server": [0], "load": [1]},
    "workloads": ["one-row-16", "no-op"],
}


def measured(number: int, server: str, workload: str, **values: float) -> dict[str, Any]:
    return {"round": number, "server": server, "workload": workload, "values": values}


def rate_of(number: int, server: str, workload: str, rate: float) -> dict[str, Any]:
    return measured(number, server, workload, requests_per_second=rate, **LOAD)


@pytest.fixture
def document() -> dict[str, Any]:
    """Two rounds, the second twice as slow; MLServer twice as fast as we are with 100 rows."""
    rates = {"pandas": 100, "drum-fastapi": 250, "litserve": 150}
    rounds = [
        rate_of(number, server, "one-row-16", rate / number) for number in (1, 2) for server, rate in rates.items()
    ]
    return {
        "machine": MACHINE,
        "runs": [RUN],
        "versions": {"drum": {"python": "3.11.7", "pandas": "3.0"}, "litserve": {"litserve": "0.2"}},
        "measurements": [
            *rounds,
            rate_of(1, "echo", "no-op", 1000.0),
            rate_of(1, "drum-no-op", "no-op", 800.0),
            rate_of(1, "pandas", "rows-100", 100.0),
            rate_of(1, "drum-fastapi", "rows-100", 200.0),
            rate_of(1, "mlserver", "rows-100", 400.0),
        ],
        "left_out": {"mlflow": "it <never> starts"},
        "stages": {"read the row: pandas.read_csv": 600.4},
    }


def test_slow_round_does_not_change_ratios(document: dict[str, Any]) -> None:
    table = next(table for table in tables_of(document) if table.workload.name == "one-row-16")
    assert [line.server for line in table.lines] == ["drum-fastapi", "litserve", "pandas"]
    cell = table.lines[0].cells["requests_per_second"]
    assert (cell.figure.median, cell.figure.minimum, cell.figure.maximum) == (187.5, 125.0, 250.0)
    assert cell.ratio and (cell.ratio.minimum, cell.ratio.median, cell.ratio.maximum) == (2.5, 2.5, 2.5)


def test_no_op_is_compared_with_echo(document: dict[str, Any]) -> None:
    table = next(table for table in tables_of(document) if table.workload.name == "no-op")
    line = table.find("drum-no-op")
    assert table.baseline == "echo"
    assert line and line.cells["requests_per_second"].ratio
    assert line.cells["requests_per_second"].ratio.median == 0.8


def test_losses_name_the_better_server(document: dict[str, Any]) -> None:
    found = [
        (table.workload.name, ours.server, other.server)
        for table, metric, ours, other in losses(tables_of(document))
        if metric.key == "requests_per_second"
    ]
    assert found == [("rows-100", "drum-fastapi", "mlserver"), ("no-op", "drum-no-op", "echo")]


def test_results_page_contains_figures(document: dict[str, Any]) -> None:
    page = write_results_page(document)
    assert "{{" not in page
    assert "2030-01-02 on A <fast> one, 2 cores" in page
    assert "| 2030-01-02 03:04 UTC | 2 | 3 (1) | 0; 1 | 0.25 | one-row-16, no-op |" in page
    assert "12 % (`" in page
    assert "| drum-fastapi | 188 | 2.50 (2.50 to 2.50) |" in page
    assert "1.50 (1.50 to 1.50) (`litserve`)" in page
    assert "**100 rows, 8 clients**, requests/s: `drum-fastapi` 200 against `mlserver` 400." in page
    assert "| read the row: pandas.read_csv | 600 |" in page
    assert "- `mlflow`: it <never> starts" in page
    assert NOT_MEASURED in page, "uploads were not"


def test_every_comparable_workload_has_a_reason() -> None:
    losable = {name for name, work in WORKLOADS.items() if any(metric.compared for metric in work.metrics)}
    assert set(read_reasons()) == losable - set(STANDALONE)


def test_write_creates_json_markdown_and_html(document: dict[str, Any], tmp_path: Path) -> None:
    write(document, tmp_path / "out", tmp_path / "RESULTS.md")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "results.html",
        "results.json",
        "results.md",
    ]
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == document
    assert (tmp_path / "RESULTS.md").read_text() == write_results_page(document)


def target_results(document: dict[str, Any], workload: str) -> list[tuple[str, bool | None]]:
    return [(result.text, result.is_met) for result in evaluate(document) if result.target.workload == workload]


def test_evaluate_compares_figures_with_targets(document: dict[str, Any]) -> None:
    assert target_results(document, "one-row-16") == [
        ("2.50 (2.50 to 2.50)", True),
        ("1.67 (1.67 to 1.67), litserve", True),
    ]
    assert target_results(document, "upload") == [("-", None), ("-", None)]
    document["measurements"] += [measured(1, "drum-fastapi", "idle", p50_ratio=1.3)]
    assert target_results(document, "idle") == [("1.30 (1.30 to 1.30)", False)]


def test_best_peer_is_chosen_by_figure(document: dict[str, Any]) -> None:
    for server, rate, p99 in (
        ("drum-fastapi-forest", 10.0, 900.0),
        ("drum-fastapi-batched", 150.0, 50.0),
        ("litserve-batched", 100.0, 80.0),
        ("mlserver-batched", 60.0, 40.0),
    ):
        values = {**LOAD, "requests_per_second": rate, "p99_ms": p99}
        document["measurements"].append(measured(1, server, "forest-64", **values))
    assert target_results(document, "forest-64") == [
        ("15.00 (15.00 to 15.00)", True),
        ("1.50 (1.50 to 1.50), litserve-batched", True),
        ("1.25 (1.25 to 1.25), mlserver-batched", False),
    ]


def test_strict_target_excludes_its_bound() -> None:
    strict = Target("one-row-1", "drum-fastapi", "p50_ms", 0.6, "pandas", strict=True)
    assert [strict.holds(value) for value in (0.59, 0.6, 0.61)] == [True, False, False]
    assert strict.text == "under 0.6 x pandas"


def test_further_run_adds_rounds(document: dict[str, Any], tmp_path: Path) -> None:
    results = Results(**document)
    results.add_run({**RUN, "date": "2030-01-03 00:00 UTC", "first_round": results.last_round + 1})
    results.add(3, "mlflow", "one-row-16", {**LOAD, "requests_per_second": 50.0})
    results.save(tmp_path / "results.json")
    again = read_results(tmp_path / "results.json")
    assert asdict(again) == asdict(results)
    assert "mlflow" not in again.left_out, "it has figures now"
    table = next(table for table in tables_of(asdict(again)) if table.workload.name == "one-row-16")
    line = table.find("mlflow")
    assert line and line.cells["requests_per_second"].ratio is None, "the others were not measured in that round"
    assert write_results_page(asdict(again)).count("2030-01-0") == 4


def test_drop_removes_figures(document: dict[str, Any]) -> None:
    results = Results(**document)
    results.drop(["one-row-16"], ["litserve"])
    assert {found["server"] for found in results.measurements if found["workload"] == "one-row-16"} == {
        "pandas",
        "drum-fastapi",
    }
    results.drop(["no-op"], None)
    assert "no-op" not in {found["workload"] for found in results.measurements}


def test_results_of_another_machine_are_rejected(document: dict[str, Any], tmp_path: Path) -> None:
    Results(**document).save(tmp_path / "results.json")
    arguments = parse(["--into", str(tmp_path / "results.json")])
    with pytest.raises(SystemExit, match="another machine"):
        open_results(arguments, make_plan(arguments))


def test_html_page_is_self_contained(document: dict[str, Any], tmp_path: Path) -> None:
    write(document, tmp_path, None)
    page = (tmp_path / "results.html").read_text()
    drawings = [part.partition("</svg>")[0] + "</svg>" for part in page.split("<svg")[1:]]
    assert len(drawings) == 6
    for drawing in drawings:
        ElementTree.fromstring("<svg" + drawing)
    assert "A &lt;fast&gt; one" in page and "it &lt;never&gt; starts" in page
    assert "src=" not in page and "href=" not in page


def test_quick_plan_has_few_workloads_and_named_peers() -> None:
    plan = make_plan(parse(["--quick", "--peers", "mlserver"]))
    assert {"one-row-16", "no-op", "start"} <= set(plan.workloads) < set(WORKLOADS)
    assert {"mlserver", "mlserver-in-process", "pandas", "drum-flask"} <= set(plan.servers)
    assert not {"litserve", "bentoml", "mlflow", "rayserve"} & set(plan.servers)
    assert set(asdict(plan)["cores"]["load"]) or plan.cores.load == ()


def test_workloads_depend_on_the_servers_model() -> None:
    plan = make_plan(parse([]))
    assert [work.name for work in plan.workloads_of("drum-fastapi-batched")] == ["forest-64"]
    assert [work.name for work in plan.workloads_of("drum-fastapi-forest")] == ["forest-64", "workers-2"]
    assert not {"forest-64", "workers-2"} & {work.name for work in plan.workloads_of("drum-fastapi")}
    assert [work.name for work in plan.standalone] == ["overload", "imports"]


def test_standalone_workload_needs_no_servers() -> None:
    assert make_plan(parse(["--workloads", "overload"])).servers == []


def test_plan_has_only_servers_with_a_workload() -> None:
    assert make_plan(parse(["--workloads", "no-op"])).servers == ["echo", "drum-no-op"]
    with pytest.raises(SystemExit):
        make_plan(parse(["--workloads", "upload", "--servers", "echo"]))
