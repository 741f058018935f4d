"""Variables that no setting reads, and the nearest name that one reads."""

from datarobot_drum.drum.settings.unknown_names import undefined_parameters, unknown_server_names
from tests.cases import each_case

PREFIX = "MLOPS_RUNTIME_PARAM_"


@each_case(
    "name, nearest",
    [
        ("DRUM_SERVER_TYP", "DRUM_SERVER_TYPE"),
        ("DRUM_EXECUTER_WORKERS", "DRUM_EXECUTOR_WORKERS"),
        ("DRUM_URL_PREFIX", "URL_PREFIX"),
        ("DRUM_RELAOD", "DRUM_RELOAD"),
        ("DRUM_served_model_name", "served_model_name"),
        (f"{PREFIX}DRUM_METRIC", "DRUM_METRICS"),
    ],
)
def test_the_nearest_name_is_suggested(name: str, nearest: str) -> None:
    (sentence,) = unknown_server_names({name: "1"})
    assert sentence == f"{name} has no effect: there is no such setting (did you mean {nearest}?)."


def test_a_name_that_resembles_nothing_has_no_suggestion() -> None:
    (sentence,) = unknown_server_names({"DRUM_XQZJK": "1"})
    assert sentence == "DRUM_XQZJK has no effect: there is no such setting."


@each_case(
    "name",
    [
        "DRUM_METRICS",
        "DRUM_FASTAPI_UPLOAD_TIMEOUT",
        "DRUM_CHECK",
        "DRUM_MODEL",
        "DRUM_ARGUMENTS",
        f"{PREFIX}DRUM_METRICS",
        f"{PREFIX}DRUM_OF_THE_MODEL",
        "DRUMS",
        "NOT_DRUM_X",
    ],
)
def test_known_and_foreign_names_are_not_reported(name: str) -> None:
    assert list(unknown_server_names({name: "1"}, {"DRUM_OF_THE_MODEL"})) == []


def test_a_flag_is_no_parameter() -> None:
    (sentence,) = unknown_server_names({f"{PREFIX}DRUM_RELOAD": "1"})
    assert sentence.startswith(f"{PREFIX}DRUM_RELOAD has no effect")


def test_variables_that_kubernetes_sets_for_a_service_are_not_reported() -> None:
    links = {
        "DRUM_SERVICE_HOST": "10.0.0.1",
        "DRUM_SERVICE_PORT": "80",
        "DRUM_SERVICE_PORT_HTTP": "80",
        "DRUM_PORT": "tcp://10.0.0.1:80",
        "DRUM_PORT_80_TCP": "tcp://10.0.0.1:80",
        "DRUM_PORT_80_TCP_ADDR": "10.0.0.1",
        "DRUM_CHURN_SERVICE_HOST": "10.0.0.2",
        "DRUM_CHURN_PORT_8080_TCP_PROTO": "tcp",
    }
    assert list(unknown_server_names(links)) == []
    (sentence,) = unknown_server_names(links | {"DRUM_MANAGMENT_PORT": "1"})
    assert "did you mean DRUM_MANAGEMENT_PORT?" in sentence


def test_prefixed_names_are_those_of_the_server_or_the_model() -> None:
    environ = {f"{PREFIX}{name}": "{}" for name in ("THRESHOLD", "THRESHOLT", "LLM_ID", "DRUM_X")}
    (sentence,) = undefined_parameters(environ, {"THRESHOLD"})
    assert sentence.startswith(f"{PREFIX}THRESHOLT is no server parameter")
    assert sentence.endswith(" (did you mean THRESHOLD?).")
