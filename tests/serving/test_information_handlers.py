"""The handlers that describe the server and the model, called with a request."""

from typing import Any

from datarobot_drum.drum.serving.messages import ModelRequest
from datarobot_drum.version import __version__
from tests.cases import each_case
from tests.serving.handlers_under_test import FakePredictor, document_of, failed, loading, make_handlers


def test_info_describes_server_and_model() -> None:
    document = document_of(make_handlers(FakePredictor(max_concurrency=3), "binary").do_info(ModelRequest()))
    assert document.pop("libraries")["datarobot_drum"] == __version__
    assert document == {
        "codeDir": "/model",
        "compiled": None,
        "drumServer": "fastapi",
        "drumVersion": __version__,
        "language": "python",
        "maxConcurrency": 3,
        "modelDigest": None,
        "modelMetadata": None,
        "modelName": "model",
        "modelVersion": "1",
        "predictor": "fake",
        "targetType": "binary",
    }


def test_info_of_a_model_without_files_has_no_predictor() -> None:
    document = document_of(make_handlers(None, prepare=failed, language="r").do_info(ModelRequest()))
    assert (document["predictor"], document["maxConcurrency"], document["language"]) == (None, None, "r")


def test_info_has_one_call_at_once_for_a_model_that_is_not_thread_safe() -> None:
    handlers = make_handlers(FakePredictor(thread_safe=False, max_concurrency=3))
    assert document_of(handlers.do_info(ModelRequest()))["maxConcurrency"] == 1


def test_stats_list_processes_memory_and_no_durations_at_first() -> None:
    document = document_of(make_handlers(FakePredictor()).do_stats(ModelRequest()))
    assert set(document) == {"drum_info", "mem_info", "time_info"} and document["time_info"] == {}
    assert len(document["drum_info"]) >= 1 and document["mem_info"]["drum_rss"] > 0


@each_case("chats", [True, False])
def test_capabilities_list_formats_and_methods(chats: bool) -> None:
    document = document_of(make_handlers(FakePredictor(chats=chats)).make_capabilities(ModelRequest()))
    assert document == {
        "supported_payload_formats": {"csv": "2.0", "mtx": None},
        "supported_methods": {"chat": chats, "completions": chats, "embeddings": False, "responses": chats},
    }


@each_case("prepare", [loading, failed])
def test_capabilities_list_no_formats_before_the_model_is_ready(prepare: Any) -> None:
    document = document_of(make_handlers(FakePredictor(), prepare=prepare).make_capabilities(ModelRequest()))
    assert document["supported_payload_formats"] == {}


def test_details_are_hidden_on_request() -> None:
    handlers = make_handlers(FakePredictor(), show_details=False, metadata={"name": "x"})
    info, stats = (document_of(handle(ModelRequest())) for handle in (handlers.do_info, handlers.do_stats))
    assert (info["codeDir"], info["modelMetadata"], info["targetType"]) == (None, None, "regression")
    assert [process["cmdline"] for process in stats["drum_info"]] == [[]] * len(stats["drum_info"])
