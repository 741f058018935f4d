from typing import Any

import pytest

from datarobot_drum.drum.exceptions import RuntimeParameterError
from datarobot_drum.runtime_parameters.definitions import Definition, ParameterType, parse_definitions
from tests.cases import each_case


def _definition(type_: str, **details: Any) -> Definition:
    (definition,) = parse_definitions([{"fieldName": "LIMIT", "type": type_, **details}])
    return definition


def test_definition_requires_only_name_and_type() -> None:
    assert _definition("numeric") == Definition("LIMIT", ParameterType.NUMERIC)


def test_definition_reads_all_fields() -> None:
    definition = _definition("numeric", defaultValue=2, minValue=1, maxValue=3.5, allowEmpty=False, description="x")
    assert definition == Definition("LIMIT", ParameterType.NUMERIC, 2, 1, 3.5, allow_empty=False)


def test_missing_definitions_give_an_empty_tuple() -> None:
    assert parse_definitions(None) == ()


@each_case(
    "entry",
    [
        pytest.param({"type": "badtype"}, id="unknown type"),
        pytest.param({}, id="no type"),
        pytest.param({"type": ["string"]}, id="type is a list"),
        pytest.param({"type": "numeric", "minValue": 5, "maxValue": 1}, id="limits crossed"),
        pytest.param({"type": "numeric", "minValue": "1"}, id="limit is text"),
        pytest.param({"type": "string", "maxValue": 1}, id="limit of a text"),
        pytest.param({"type": "string", "credentialType": "s3"}, id="credentialType of a text"),
        pytest.param({"type": "string", "allowEmpty": "no"}, id="allowEmpty is text"),
        pytest.param({"type": "boolean", "defaultValue": "true"}, id="default of another type"),
        pytest.param({"type": "numeric", "defaultValue": 5, "maxValue": 4}, id="default out of range"),
        pytest.param({"type": "credential", "defaultValue": 5}, id="credential default is a number"),
    ],
)
def test_invalid_definition_raises_error_with_its_name(entry: dict[str, Any]) -> None:
    with pytest.raises(RuntimeParameterError, match=r"^Runtime parameter LIMIT .*\.$"):
        parse_definitions([{"fieldName": "LIMIT", **entry}])


@each_case("entries", ["text", {"a": 1}, 5], ids=["text", "mapping", "number"])
def test_definitions_must_be_a_list(entries: Any) -> None:
    with pytest.raises(RuntimeParameterError, match="must be a list"):
        parse_definitions(entries)


@each_case("entry", [None, "LIMIT", {"type": "string"}, {"fieldName": True}, {"fieldName": ""}])
def test_entry_without_name_is_reported_by_position(entry: Any) -> None:
    with pytest.raises(RuntimeParameterError, match="Entry 2 of runtimeParameterDefinitions"):
        parse_definitions([{"fieldName": "LIMIT", "type": "string"}, entry])


def test_duplicate_name_raises_error() -> None:
    with pytest.raises(RuntimeParameterError, match="LIMIT is defined twice"):
        parse_definitions([{"fieldName": "LIMIT", "type": "string"}, {"fieldName": "LIMIT", "type": "boolean"}])


def test_names_that_differ_in_case_are_distinct() -> None:
    entries = [{"fieldName": "LIMIT", "type": "string"}, {"fieldName": "limit", "type": "string"}]
    assert [definition.name for definition in parse_definitions(entries)] == ["LIMIT", "limit"]


@each_case(
    ("type_", "value"),
    [
        ("string", ""),
        ("string", "text"),
        ("boolean", True),
        ("numeric", 0),
        ("numeric", 1.5),
        ("credential", {"credentialType": "api_token", "apiToken": "x"}),
        ("deployment", "65f0"),
    ],
)
def test_matching_value_is_returned_unchanged(type_: str, value: Any) -> None:
    checked = _definition(type_).check(value)
    assert checked == value
    assert type(checked) is type(value)


@each_case(
    ("type_", "value"),
    [
        ("string", 5),
        ("boolean", "true"),
        ("boolean", 1),
        ("numeric", "5"),
        ("numeric", True),
        ("numeric", float("nan")),
        ("numeric", float("inf")),
        ("credential", "s3cret"),
        ("credential", {"apiToken": "s3cret"}),
        ("deployment", 65),
    ],
)
def test_value_of_another_type_raises_error_without_the_value(type_: str, value: Any) -> None:
    with pytest.raises(RuntimeParameterError, match=r"^Runtime parameter LIMIT must be ") as caught:
        _definition(type_).check(value)
    assert "s3cret" not in str(caught.value)


@each_case(("value", "word"), [(0.99, "below"), (11, "above")])
def test_number_out_of_range_raises_error(value: float, word: str) -> None:
    with pytest.raises(RuntimeParameterError, match=f"LIMIT is {value}, {word} its"):
        _definition("numeric", minValue=1, maxValue=10).check(value)


@each_case("value", [1, 10, 5.5], ids=["lowest", "highest", "between"])
def test_limits_are_inclusive(value: float) -> None:
    assert _definition("numeric", minValue=1, maxValue=10).check(value) == value


def test_credential_of_another_type_raises_error() -> None:
    definition = _definition("credential", credentialType="s3")
    with pytest.raises(RuntimeParameterError, match="has the credentialType 'gcp', defined is 's3'"):
        definition.check({"credentialType": "gcp"})


def test_id_of_stored_credential_is_not_a_default() -> None:
    assert _definition("credential", defaultValue="65f0aa").default is None
