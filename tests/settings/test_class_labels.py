"""Class labels come from arguments, a file or model-metadata.yaml, and stay text."""

from pathlib import Path
from typing import Any

import pytest

from datarobot_drum.drum.exceptions import StartupError, UsageError
from tests.cases import each_case
from tests.settings.building import build, write_metadata

pytestmark = pytest.mark.usefixtures("clean_environment")


def test_binary_labels_come_from_arguments(tmp_path: Path) -> None:
    model = build(tmp_path, target_type="binary", positive_class_label="1", negative_class_label="0").model
    assert (model.class_labels, model.positive_class_label, model.negative_class_label) == (
        ("0", "1"),
        "1",
        "0",
    )


@each_case("indent", ["", "  "], ids=["top level", "inferenceModel"])
def test_binary_labels_of_metadata_keep_their_text(tmp_path: Path, indent: str) -> None:
    head = "inferenceModel:\n" if indent else ""
    write_metadata(tmp_path, f"{head}{indent}positiveClassLabel: yes\n{indent}negativeClassLabel: 010\n")
    assert build(tmp_path, target_type="binary").model.class_labels == ("010", "yes")


def test_binary_labels_come_from_arguments_and_metadata(tmp_path: Path) -> None:
    write_metadata(tmp_path, "positiveClassLabel: a\nnegativeClassLabel: b\n")
    model = build(tmp_path, target_type="binary", positive_class_label="c").model
    assert model.class_labels == ("b", "c")


@each_case(
    "text",
    [
        "classLabels: [1, 1.0, true, null, 2024-01-01, é, no]",
        "inferenceModel:\n  classLabels:\n  - 1\n  - 1.0\n  - true\n  - null\n  - 2024-01-01\n  - é\n  - 'no'\n",
        "base: &b {classLabels: '1 1.0 true null 2024-01-01 é no'}\ninferenceModel:\n  <<: *b\n",
    ],
    ids=["top level", "inferenceModel", "merged text"],
)
def test_multiclass_labels_of_metadata_keep_their_text(tmp_path: Path, text: str) -> None:
    write_metadata(tmp_path, text)
    labels = ("1", "1.0", "true", "null", "2024-01-01", "é", "no")
    assert build(tmp_path, target_type="multiclass").model.class_labels == labels


def test_class_labels_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes("\ufeffa b\r\n\r\n c \r\né".encode())
    model = build(tmp_path, target_type="multilabel", class_labels_file=str(path)).model
    assert model.class_labels == ("a b", "c", "é")
    assert model.positive_class_label is None


@each_case("content", [None, b"", b"\xff\xfe\xff"], ids=["absent", "empty", "not text"])
def test_unusable_labels_file_raises_usage_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "labels.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match="--class-labels-file"):
        build(tmp_path, target_type="multiclass", class_labels_file=str(path))


@each_case(
    ("values", "complaint"),
    [
        (
            {"target_type": "binary", "positive_class_label": "a", "negative_class_label": "a"},
            "given twice: 'a'",
        ),
        ({"target_type": "multiclass", "class_labels": ("a",)}, "at least 2"),
        ({"target_type": "multiclass", "class_labels": ("a", "b", "a")}, "given twice: 'a'"),
        ({"target_type": "multiclass", "class_labels": ("a", "b"), "class_labels_file": "x"}, "not both"),
    ],
)
def test_wrong_labels_raise_usage_error(tmp_path: Path, values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        build(tmp_path, **values)


@each_case("target_type", ["binary", "multiclass", "multilabel"])
def test_missing_labels_are_left_to_the_model(tmp_path: Path, target_type: str) -> None:
    assert build(tmp_path, target_type=target_type).model.class_labels == ()


def test_one_label_of_a_binary_model_is_kept(tmp_path: Path) -> None:
    model = build(tmp_path, target_type="binary", positive_class_label="a").model
    assert (model.class_labels, model.positive_class_label, model.negative_class_label) == ((), "a", None)


def test_unneeded_labels_are_ignored_with_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert build(tmp_path, class_labels=("a", "a"), positive_class_label="x").model.class_labels == ()
    assert caplog.messages == ["No effect on a regression model: --positive-class-label, --class-labels."]


def test_class_labels_of_a_binary_model_are_ignored_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_metadata(tmp_path, "classLabels: [a, b]")
    build(tmp_path, target_type="binary", class_labels=("a", "b"))
    assert caplog.messages == [
        "No effect on a binary model: --class-labels, classLabels; its labels are positive and negative class label."
    ]


def test_needed_labels_cause_no_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    build(tmp_path, target_type="binary", positive_class_label="a", negative_class_label="b")
    build(tmp_path, target_type="multiclass", class_labels=("a", "b"))
    assert caplog.messages == []


def test_target_names_and_prompt_column_come_from_metadata(tmp_path: Path) -> None:
    write_metadata(tmp_path, "inferenceModel: {targetNames: [low, high], promptColumn: question}")
    model = build(tmp_path).model
    assert (model.target_names, model.prompt_column) == (("low", "high"), "question")


@each_case(("names", "complaint"), [("[a, a]", "must differ"), ("{a: b}", "must be a list")])
def test_unusable_target_names_fail_the_start(tmp_path: Path, names: str, complaint: str) -> None:
    write_metadata(tmp_path, f"targetNames: {names}")
    with pytest.raises(StartupError, match=complaint):
        build(tmp_path)


def test_class_labels_of_metadata_must_be_a_list(tmp_path: Path) -> None:
    write_metadata(tmp_path, "classLabels: {a: b}")
    with pytest.raises(StartupError, match=r"classLabels in model-metadata\.yaml must be a list"):
        build(tmp_path, target_type="multiclass")
