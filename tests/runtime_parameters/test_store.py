"""`RuntimeParameters` from the environment, and the values that a server collects."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datarobot_drum import RuntimeParameters
from datarobot_drum.drum.exceptions import RuntimeParameterError
from datarobot_drum.runtime_parameters import mask_secrets
from datarobot_drum.runtime_parameters.definitions import parse_definitions
from datarobot_drum.runtime_parameters.sources import (
    PREFIX,
    ParameterSources,
    read_parameter_file,
    read_prefixed,
)
from datarobot_drum.runtime_parameters.store import collect_values, install
from tests.cases import each_case

pytestmark = pytest.mark.usefixtures("clean_environment")


def _prefixed(type_: str, payload: Any) -> str:
    return json.dumps({"type": type_, "payload": payload})


def _collect(entries: list[dict[str, Any]], *, file: dict[str, Any] | None = None, **variables: str) -> dict[str, Any]:
    environ = {PREFIX + name: text for name, text in variables.items()}
    return collect_values(parse_definitions(entries), ParameterSources(environ, file or {}), {"DRUM_SERVER_TYPE"})


@each_case(
    ("type_", "payload"),
    [
        ("string", "text"),
        ("boolean", True),
        ("boolean", False),
        ("numeric", 3),
        ("numeric", 0.25),
        ("credential", {"credentialType": "api_token", "apiToken": "t0ken-1"}),
        ("deployment", "65f0"),
    ],
)
def test_get_reads_prefixed_variable_if_nothing_is_installed(
    monkeypatch: pytest.MonkeyPatch, type_: str, payload: Any
) -> None:
    monkeypatch.setenv(f"{PREFIX}NAME", _prefixed(type_, payload))
    assert RuntimeParameters.has("NAME")
    assert RuntimeParameters.get("NAME") == payload
    assert type(RuntimeParameters.get("NAME")) is type(payload)


@each_case("value", [None, "", "  ", _prefixed("string", None)], ids=["absent", "empty", "blank", "null"])
def test_get_returns_none_or_default_without_value(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    if value is not None:
        monkeypatch.setenv(f"{PREFIX}NAME", value)
    assert not RuntimeParameters.has("NAME")
    assert RuntimeParameters.get("NAME") is None
    assert RuntimeParameters.get("NAME", 7) == 7


def test_get_ignores_plain_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAME", "text")
    assert RuntimeParameters.get("NAME") is None


def test_names_are_case_sensitive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}NAME", _prefixed("string", "x"))
    assert not RuntimeParameters.has("name")


def test_installed_values_override_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}NAME", _prefixed("string", "variable"))
    install({"OTHER": 1})
    assert RuntimeParameters.get("NAME") is None
    assert RuntimeParameters.get("OTHER") == 1


def test_get_returns_a_copy() -> None:
    install({"NAME": {"credentialType": "s3", "keys": ["a"]}})
    RuntimeParameters.get("NAME")["keys"].append("b")
    assert RuntimeParameters.get("NAME")["keys"] == ["a"]


@each_case(
    "text",
    [
        "s3cret",
        "{",
        "[1]",
        '"s3cret"',
        '{"type": "string"}',
        '{"payload": "s3cret"}',
        '{"type": 5, "payload": 1}',
    ],
)
def test_malformed_variable_raises_error_without_its_text(text: str) -> None:
    with pytest.raises(RuntimeParameterError, match=f"NAME .*{PREFIX}NAME") as caught:
        read_prefixed({f"{PREFIX}NAME": text}, "NAME")
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_payload_of_another_type_raises_error() -> None:
    with pytest.raises(RuntimeParameterError, match="NAME must be a finite number, not text"):
        read_prefixed({f"{PREFIX}NAME": _prefixed("numeric", "5")}, "NAME")


@given(st.text(), st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists))
def test_get_returns_or_raises_parameter_error_for_any_text(text: str, document: Any) -> None:
    for variable in (
        text,
        "[" * 5000,
        json.dumps({"type": "numeric", "payload": document}),
        json.dumps(document),
    ):
        with suppress(RuntimeParameterError):
            read_prefixed({f"{PREFIX}NAME": variable}, "NAME")


def test_credential_from_environment_is_masked() -> None:
    read_prefixed(
        {f"{PREFIX}NAME": _prefixed("credential", {"credentialType": "api_token", "apiToken": "t0ken-1"})},
        "NAME",
    )
    assert mask_secrets("t0ken-1") == "****"


def test_rejected_credential_is_masked() -> None:
    with pytest.raises(RuntimeParameterError):
        _collect([{"fieldName": "NAME", "type": "numeric"}], NAME=_prefixed("credential", {"apiToken": "t0ken-1"}))
    assert mask_secrets("t0ken-1") == "****"


def test_file_overrides_variable_and_variable_overrides_default() -> None:
    entries = [{"fieldName": name, "type": "string", "defaultValue": "default"} for name in ("A", "B", "C")]
    values = _collect(entries, file={"A": "file"}, A=_prefixed("string", "variable"), B=_prefixed("string", "variable"))
    assert values == {"A": "file", "B": "variable", "C": "default"}


def test_null_in_file_is_ignored() -> None:
    assert _collect([{"fieldName": "A", "type": "string", "defaultValue": "d"}], file={"A": None}) == {"A": "d"}


def test_prefixed_variable_needs_no_definition() -> None:
    assert _collect([], A=_prefixed("numeric", 3)) == {"A": 3}


def test_file_entry_without_definition_raises_error() -> None:
    with pytest.raises(RuntimeParameterError, match="OTHER is in the parameters file but not in"):
        _collect([{"fieldName": "A", "type": "string"}], file={"OTHER": "x"})


def test_server_parameters_need_no_definition(caplog: pytest.LogCaptureFixture) -> None:
    assert _collect([], file={"DRUM_SERVER_TYPE": "fastapi"}) == {"DRUM_SERVER_TYPE": "fastapi"}
    assert not caplog.records


def test_misspelled_server_parameter_logs_warning(caplog: pytest.LogCaptureFixture) -> None:
    _collect([], file={"DRUM_SERVER_TIPE": "fastapi"})
    assert "DRUM_SERVER_TIPE in the parameters file is ignored: this server has no such parameter" in caplog.text


def test_variable_of_another_type_raises_error() -> None:
    with pytest.raises(RuntimeParameterError, match="A must be a finite number, not text"):
        _collect([{"fieldName": "A", "type": "numeric"}], A=_prefixed("string", "5"))


@each_case("variable", ["", _prefixed("string", "")], ids=["absent", "empty"])
def test_empty_value_raises_error_if_not_allowed(variable: str) -> None:
    with pytest.raises(RuntimeParameterError, match="A needs a value"):
        _collect([{"fieldName": "A", "type": "string", "allowEmpty": False}], A=variable)


def test_zero_and_false_are_values() -> None:
    entries = [
        {"fieldName": "A", "type": "numeric", "allowEmpty": False, "defaultValue": 0},
        {"fieldName": "B", "type": "boolean", "allowEmpty": False, "defaultValue": False},
    ]
    assert _collect(entries) == {"A": 0, "B": False}


def test_parameter_file_is_read_and_credentials_are_masked(tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    path.write_text("TEXT: 2024-01-01\nNUMBER: 5\nFLAG: yes\nKEY:\n  credentialType: api_token\n  apiToken: t0ken-1\n")
    assert read_parameter_file(path) == {
        "TEXT": "2024-01-01",
        "NUMBER": 5,
        "FLAG": True,
        "KEY": {"credentialType": "api_token", "apiToken": "t0ken-1"},
    }
    assert mask_secrets("t0ken-1") == "****"


def test_empty_parameter_file_has_no_values(tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    path.write_text("# nothing\n")
    assert read_parameter_file(path) == {}


@each_case(
    ("content", "complaint"),
    [
        (b"A: [s3cret", "is not valid YAML"),
        (b"A: *s3cret", "is not valid YAML"),
        (b"A: !s3cret x", "is not valid YAML"),
        (b"A: !!int s3cret", "does not fit its YAML tag"),
        (b"A: !!bool s3cret", "does not fit its YAML tag"),
        (b"A: &a [*a]", "nested too deeply"),
        (b"A: s3cret\xff", "is not valid YAML"),
        (b"- s3cret", "must hold a mapping"),
        (b"s3cret", "must hold a mapping"),
        (b"A: s3cret\nA: 2", "gives A twice"),
    ],
)
def test_unreadable_parameter_file_raises_error_without_its_content(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    path = tmp_path / "values.yaml"
    path.write_bytes(content)
    with pytest.raises(RuntimeParameterError, match=complaint) as caught:
        read_parameter_file(path)
    assert "s3cret" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_missing_parameter_file_raises_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeParameterError, match="cannot be read: No such file"):
        read_parameter_file(tmp_path / "absent.yaml")


@given(st.binary())
def test_reading_any_file_returns_mapping_or_raises_parameter_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("values") / "values.yaml"
    path.write_bytes(content)
    try:
        assert isinstance(read_parameter_file(path), dict)
    except RuntimeParameterError as error:
        assert str(path) in str(error)
