"""The document of ``--deployment-config``: accepted and rejected content."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from datarobot_drum.drum.exceptions import UsageError
from datarobot_drum.drum.settings.deployment_config import DeploymentConfig, read_deployment_config
from datarobot_drum.drum.settings.target_types import TargetType
from tests.cases import each_case


def read(folder: Path, document: Any, kind: str = "binary", labels: tuple[str, ...] = ("no", "yes")) -> Any:
    path = folder / "deployment_document.json"
    path.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
    return read_deployment_config(path, TargetType(kind), labels)


FULL = DeploymentConfig("bad loan", 0.3, "APPROVED")


@each_case(
    ("document", "config"),
    [
        ({}, DeploymentConfig()),
        ({"label": "mine", "model": None, "target": [], "more": {"name": 3}}, DeploymentConfig()),
        (
            {
                "id": "5",
                "approvalStatus": "APPROVED",
                "model": {
                    "type": "Trees",
                    "targetName": "bad loan",
                    "targetType": "Binary",
                    "predictionThreshold": 0.3,
                },
            },
            FULL,
        ),
        (
            {
                "name": "package",
                "approvalStatus": "APPROVED",
                "target": {
                    "name": "bad loan",
                    "type": "Binary",
                    "classNames": ["yes", "no"],
                    "predictionThreshold": 0.3,
                },
            },
            replace(FULL, class_labels=("yes", "no")),
        ),
        (
            {
                "targetName": "bad loan",
                "targetType": "binary",
                "predictionThreshold": 0.3,
                "approvalStatus": "APPROVED",
            },
            FULL,
        ),
        ({"target": {"name": None}, "targetName": "t", "predictionThreshold": 1}, DeploymentConfig("t", 1.0)),
    ],
    ids=["empty", "nothing known", "deployment", "model package", "flat", "null"],
)
def test_document_values_are_read(tmp_path: Path, document: Any, config: DeploymentConfig) -> None:
    assert read(tmp_path, document) == config


def test_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    assert read(tmp_path, b'\xef\xbb\xbf{"targetName": "\xc3\xbc"}') == DeploymentConfig("ü")


@each_case("written", ["TextGeneration", "textgeneration", "Text Generation", "TEXT_GENERATION"])
def test_target_type_is_compared_in_any_notation(tmp_path: Path, written: str) -> None:
    assert read(tmp_path, {"targetType": written}, "textgeneration", ()) == DeploymentConfig()


def test_class_labels_are_compared_as_text(tmp_path: Path) -> None:
    assert read(tmp_path, {"classNames": [1.0, 0]}, labels=("0", "1")) == DeploymentConfig(class_labels=("1", "0"))


@each_case(
    ("document", "text"),
    [
        (b"", "is not a JSON document"),
        (b"{", "is not a JSON document"),
        (b"\xff", "is not a JSON document"),
        (b"[" * 100_000, "is not a JSON document"),
        ([], "must hold a JSON object"),
        ({"model": {"targetType": "Regression"}}, "is of a Regression model, but this model is of type binary"),
        ({"target": {"classNames": ["a", "b"]}}, "has the class labels a, b, but this model has no, yes"),
        ({"classNames": "yes no"}, "classNames .* must be a list of labels"),
        ({"targetName": 5}, "targetName .* must be text"),
        ({"predictionThreshold": "0.5"}, "predictionThreshold .* must be a number from 0 to 1"),
        ({"predictionThreshold": 1.01}, "a number from 0 to 1"),
        ({"predictionThreshold": True}, "a number from 0 to 1"),
        (b'{"predictionThreshold": NaN}', "a number from 0 to 1"),
    ],
)
def test_mismatching_document_raises_usage_error(tmp_path: Path, document: Any, text: str) -> None:
    with pytest.raises(UsageError, match=text) as caught:
        read(tmp_path, document)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


@each_case("name", ["missing.json", "."])
def test_unreadable_file_raises_usage_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"--deployment-config .* cannot be read: "):
        read_deployment_config(tmp_path / name, TargetType.REGRESSION, ())


def test_labels_that_the_model_provides_are_compared_when_it_is_loaded(tmp_path: Path) -> None:
    config = read(tmp_path, {"classNames": ["a", "b"]}, labels=())
    config.require_labels(("b", "a"))
    with pytest.raises(UsageError, match="has the class labels a, b, but this model has no, yes"):
        config.require_labels(("no", "yes"))
