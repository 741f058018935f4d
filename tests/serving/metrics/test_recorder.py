"""Names, labels and values of the server's own metrics, as prometheus-client's parser reads them."""

import re
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from datarobot_drum.drum.serving.metrics import families
from datarobot_drum.drum.serving.metrics.recorder import CellsOfProcess, Recorder, ServerCells, WorkerCells, new_cells
from datarobot_drum.drum.serving.request_log import RequestLog, RequestLogEntry
from datarobot_drum.drum.serving.route_labels import RouteLabels, all_labels
from datarobot_drum.drum.serving.scraping import scrape_server
from tests.cases import each_case

DOCUMENTATION = Path(__file__).parents[3] / "docs" / "reference" / "metrics.md"
NAMES = {
    *("drum_requests_total", "drum_request_duration_seconds", "drum_prediction_duration_seconds"),
    *("drum_queue_wait_seconds", "drum_queue_depth", "drum_executor_slots", "drum_rejected_total", "drum_batch_size"),
    *("drum_request_bytes", "drum_rows_total", "drum_record_rows_total", "drum_model_load_seconds", "drum_model_info"),
    *("drum_worker_restarts_total", "drum_tokens_total", "drum_time_to_first_token_seconds"),
    *("drum_chunk_duration_seconds", "drum_event_loop_lag_seconds", "process_cpu_seconds_total"),
    *("process_resident_memory_bytes", "process_open_fds", "process_threads", "process_start_time_seconds"),
}


def recorder() -> Recorder:
    own = new_cells()
    return Recorder(CellsOfProcess(own, lambda: ServerCells((WorkerCells(own, is_live=True),))), all_labels())


def scrape(server: ServerCells) -> dict[str, float]:
    """The samples of a scrape by name and labels."""
    text = scrape_server(server, None).content.decode()
    return {
        f"{sample.name}{sorted(sample.labels.items()) if sample.labels else ''}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_metric_has_help_and_type() -> None:
    own = recorder()
    own.describe_model({"model": "a"})
    text = scrape_server(own.read_server(), None).content.decode()
    assert set(families.names()) == NAMES
    for name in NAMES:
        assert re.search(rf"^# HELP {name} .+$", text, re.MULTILINE)
        assert re.search(rf"^# TYPE {name} (counter|gauge|histogram)$", text, re.MULTILINE)


def test_the_documentation_lists_every_metric() -> None:
    own = recorder()
    own.describe_model({"model": "a"})
    listed = dict(re.findall(r"^\| `(\w+_\w+)` \| (\w+) \|", DOCUMENTATION.read_text(encoding="utf-8"), re.MULTILINE))
    text = scrape_server(own.read_server(), None).content.decode()
    assert listed == dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE))


@each_case(
    ("path", "label"),
    [
        ("/a/predict/", "/predict"),
        ("/a/v1/chat/completions", "/v1/chat/completions"),
        ("/a/v2/models/secret/infer", "/v2/models/{name}/infer"),
        ("/a/nim/any/thing", "/nim/{subpath}"),
        ("/a/nim", "/nim"),
        ("/a/models/gpt", "/models/{subpath}"),
        ("/inference.GRPCInferenceService/ModelInfer", "/inference.GRPCInferenceService/ModelInfer"),
        ("/predict/", "other"),
        ("/a/wp-login.php", "other"),
    ],
)
def test_a_route_is_a_template_below_the_prefix(path: str, label: str) -> None:
    assert RouteLabels("/a").find(path) == label
    assert label in all_labels()


def test_requests_are_counted_by_route_and_status_but_probes_are_not() -> None:
    own = recorder()
    log = RequestLog(frozenset({"/livez"}), recorder=own)
    for path, status in (
        ("/predict/", 200),
        ("/predict/", 200),
        ("/predict/", 0),
        ("/x1", 404),
        ("/x2", 404),
        ("/livez", 200),
    ):
        with RequestLogEntry(log, "POST", path, lambda name: "") as entry:
            entry.status = status
    found = scrape(own.read_server())
    counts = {name: value for name, value in found.items() if name.startswith("drum_requests_total")}
    assert sorted(counts.values()) == [1, 2, 2]
    assert counts["drum_requests_total[('route', '/predict'), ('status', '499')]"] == 1
    assert counts["drum_requests_total[('route', 'other'), ('status', '404')]"] == 2
    assert found["drum_request_duration_seconds_count"] == 5


def test_statuses_without_number_do_not_take_more_memory() -> None:
    own = recorder()
    for status in range(100, 600):
        own.request_ended("/predict", status, 0.1)
    counts = [value for name, value in scrape(own.read_server()).items() if name.startswith("drum_requests_total")]
    assert sum(counts) == 500
    assert len(counts) == families.REQUEST_KINDS


def test_counters_of_an_ended_worker_stay_and_its_gauges_go() -> None:
    ended, live = new_cells(), new_cells()
    for cells in (ended, live):
        own = Recorder(CellsOfProcess(cells, lambda: ServerCells(())), all_labels())
        own.request_ended("/predict", 200, 0.003)
        own.observe(families.BATCH_SIZE, 4)
        own.sample(3, {"running": 1, "free": 2, "paused": 0})
    found = scrape(ServerCells((WorkerCells(ended, is_live=False), WorkerCells(live, is_live=True)), restarts=1))
    assert found["drum_requests_total[('route', '/predict'), ('status', '200')]"] == 2
    assert (found["drum_batch_size_sum"], found["drum_queue_depth"], found["drum_worker_restarts_total"]) == (8, 3, 1)
    assert found["drum_executor_slots[('state', 'free')]"] == 2
    assert found["drum_batch_size_bucket[('le', '2.0')]"] == 0
    assert found["drum_batch_size_bucket[('le', '4.0')]"] == found["drum_batch_size_bucket[('le', '+Inf')]"] == 2


def test_the_next_worker_counts_on_in_the_cells_of_the_last_one() -> None:
    shared = recorder()._cells
    counted = CellsOfProcess(shared, lambda: ServerCells((WorkerCells(shared, is_live=True),)))
    for _ in range(2):
        worker = Recorder(counted, all_labels())
        worker.request_ended("/predict", 200, 0.1)
        worker.request_ended("/predict", 500, 0.1)
    found = scrape(counted.read_server())
    assert found["drum_requests_total[('route', '/predict'), ('status', '200')]"] == 2
    assert found["drum_requests_total[('route', '/predict'), ('status', '500')]"] == 2


def test_a_recorder_without_cells_records_nothing() -> None:
    off = Recorder()
    off.request_ended("/predict", 200, 0.1)
    off.add(families.ROWS, 5)
    off.observe(families.BATCH_SIZE, 5)
    assert set(off._cells.tolist()) == {0.0}


def test_openmetrics_is_sent_to_a_client_that_accepts_it() -> None:
    result = scrape_server(recorder().read_server(), None, "application/openmetrics-text; version=1.0.0")
    assert result.media_type.startswith("application/openmetrics-text")
    assert result.content.endswith(b"# EOF\n")


@given(st.text("aplication/openmetrics-text;version=.1,q =", max_size=60))
@example("application/openmetrics-text; version=x.y")
def test_any_accept_header_is_answered(accept: str) -> None:
    assert scrape_server(ServerCells(()), None, accept).content
