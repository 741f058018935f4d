"""typeSchema of model-metadata.yaml: requirements accept or reject input and output."""

import io
import logging
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from scipy import sparse
from scipy.io import mmwrite

from datarobot_drum.drum.exceptions import InputSchemaError, OutputSchemaError, TypeSchemaError
from datarobot_drum.drum.language_predictors.base import BasePredictor
from datarobot_drum.drum.language_predictors.factory import create_predictor
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload
from tests.cases import each_case
from tests.language_predictors.builders import model_settings, write_model

LoadWithSchema = Callable[..., BasePredictor]

COUNT = "import pandas as pd\ndef score(data, model): return pd.DataFrame({'Predictions': [1.5] * len(data)})\n"
IMAGE = "iVBORw0KGgo" + "A" * 200
LONG = "one two three four five six seven eight nine ten eleven"


@pytest.fixture
def make(tmp_path: Path) -> Iterator[LoadWithSchema]:
    made: list[BasePredictor] = []

    def load(schema: dict[str, Any], code: str = COUNT, target_type: str = "regression", **changes: Any) -> Any:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        write_model(folder, custom=code)
        made.append(create_predictor(model_settings(folder, target_type, metadata={"typeSchema": schema}, **changes)))
        made[-1].load()
        return made[-1]

    yield load
    for predictor in made:
        predictor.close()


def payload(content: str | bytes, kind: str = "csv") -> StructuredPayload:
    body = content.encode() if isinstance(content, str) else content
    return StructuredPayload(io.BytesIO(body), PayloadFormat(kind))


def mtx(rows: int, columns: int) -> bytes:
    file = io.BytesIO()
    mmwrite(file, sparse.eye(rows, columns, format="coo"))
    return file.getvalue()


def input_requirement(field: str, condition: str, value: Any) -> dict[str, Any]:
    return {"input_requirements": [{"field": field, "condition": condition, "value": value}]}


def output_requirement(field: str, condition: str, value: Any) -> dict[str, Any]:
    return {"output_requirements": [{"field": field, "condition": condition, "value": value}]}


CELLS = {
    "whole": "1",
    "fraction": "1.5",
    "truth": "True",
    "word": "red",
    "text": LONG,
    "lines": '"a\nb"',
    "date": "2024-02-29",
    "time": "2024-02-29T12:30:00.5Z",
    "european date": "29.02.2024",
    "duration": "P1DT2H",
    "days": "3 days 04:05:06",
    "image": IMAGE,
}
KINDS = {
    "NUM": {"whole", "fraction", "truth"},
    "CAT": {"whole", "truth", "word"},
    "TXT": set(CELLS),  # every cell is read as text
    "IMG": {"image"},
    "DATE": {"date", "time", "european date"},
    "DATE_DURATION": {"duration", "days"},
}


@each_case("kind", KINDS)
def test_column_kinds_do_not_depend_on_the_row_count(make: LoadWithSchema, kind: str) -> None:
    predictor = make(input_requirement("data_types", "IN", [kind]))
    for (name, cell), rows in product(CELLS.items(), (1, 10_000)):
        sample = payload("first\n" + f"{cell}\n" * rows)
        if name in KINDS[kind]:
            predictor.read_input(sample)
        else:
            with pytest.raises(InputSchemaError, match="column 'first' is"):
                predictor.read_input(sample)


def test_one_long_text_makes_a_category_column_text(make: LoadWithSchema) -> None:
    predictor = make(input_requirement("data_types", "EQUALS", "CAT"))
    words = "".join(f"word number {number}\n" for number in range(5_000))
    predictor.read_input(payload("a\n" + words))
    with pytest.raises(InputSchemaError, match="'a' is TXT"):
        predictor.read_input(payload(f"a\n{words}{LONG}\n"))


def test_missing_cells_fit_every_kind(make: LoadWithSchema) -> None:
    predictor = make(input_requirement("data_types", "IN", ["DATE"]))
    predictor.read_input(payload("a,b\n2024-01-01,\n,\n"))


@each_case(
    ("condition", "value", "csv", "reason"),
    [
        ("EQUALS", "NUM", "a,b\n1,red\n", "the column 'b' is CAT or TXT"),
        ("EQUALS", ["NUM", "CAT"], "a,b\n1.5,2.5\n", "no column is CAT"),
        ("EQUALS", ["NUM", "CAT"], "a,b\n1.5,red\n", None),
        ("IN", ["NUM", "CAT"], "a,b\n1.5,2.5\n", None),
        ("NOT_IN", ["TXT", "IMG"], f"a,b\n1,{LONG}\n", "the column 'b' is TXT"),
        ("NOT_IN", ["TXT", "IMG"], "a,b\n1,red\n", None),
        ("NOT_IN", ["NUM"], "a,b\nx,7\n", "the column 'b' is NUM"),
        ("NOT_EQUALS", "DATE", "a\n2024-01-01\n", "the column 'a' is DATE"),
        ("NOT_EQUALS", "DATE", "a\n2024\n", None),
    ],
)
def test_data_types_conditions_accept_or_reject(
    make: LoadWithSchema, condition: str, value: Any, csv: str, reason: str | None
) -> None:
    predictor = make(input_requirement("data_types", condition, value))
    if reason is None:
        predictor.read_input(payload(csv))
        return
    with pytest.raises(InputSchemaError) as broken:
        predictor.read_input(payload(csv))
    words = ", ".join([value] if isinstance(value, str) else value)
    assert (
        broken.value.message
        == f"The input breaks typeSchema: data_types {condition} {words} is required, but {reason}."
    )
    assert (broken.value.status, broken.value.exit_code) == (422, 3)


@each_case(
    ("condition", "value", "fitting"),
    [
        ("EQUALS", 2, {2}),
        ("EQUALS", [1, 2], {1, 2}),
        ("NOT_EQUALS", 2, {1, 3}),
        ("IN", [1, 3], {1, 3}),
        ("NOT_IN", [1, 3], {2}),
        ("LESS_THAN", 2, {1}),
        ("NOT_LESS_THAN", 2, {2, 3}),
        ("GREATER_THAN", 2, {3}),
        ("NOT_GREATER_THAN", 2, {1, 2}),
    ],
)
def test_number_of_columns_conditions_accept_or_reject(
    make: LoadWithSchema, condition: str, value: Any, fitting: set[int]
) -> None:
    predictor = make(input_requirement("number_of_columns", condition, value))
    for width in (1, 2, 3):
        sample = payload(",".join("abc"[:width]) + "\n" + ",".join("1" * width) + "\n")
        if width in fitting:
            predictor.read_input(sample)
        else:
            with pytest.raises(InputSchemaError, match=f"{condition} .*, but there are {width}"):
                predictor.read_input(sample)


@each_case(
    ("field", "value", "csv_fits", "mtx_fits"),
    [
        ("sparse", "SUPPORTED", True, True),
        ("sparse", "REQUIRED", False, True),
        ("sparse", "FORBIDDEN", True, False),
        ("contains_missing", "SUPPORTED", True, True),
        ("contains_missing", "FORBIDDEN", False, True),
    ],
)
def test_sparse_and_contains_missing_accept_or_reject_input(
    make: LoadWithSchema, field: str, value: str, csv_fits: bool, mtx_fits: bool
) -> None:
    predictor = make(input_requirement(field, "EQUALS", value))
    for fits, sample in ((csv_fits, payload("a,b\n1,2\n3,\n")), (mtx_fits, payload(mtx(3, 2), "mtx"))):
        if fits:
            predictor.read_input(sample)
        else:
            reason = "it is (dense|sparse)" if field == "sparse" else "column 'b' has a missing value in row 2"
            with pytest.raises(InputSchemaError, match=reason):
                predictor.read_input(sample)


def test_numeric_tables_and_matrices_are_checked(tmp_path: Path) -> None:
    import pickle

    from sklearn.linear_model import LinearRegression

    (tmp_path / "model.pkl").write_bytes(pickle.dumps(LinearRegression().fit([[1, 2], [2, 1]], [1, 2])))
    schema = {"input_requirements": [{"field": "data_types", "condition": "EQUALS", "value": "CAT"}]}
    predictor = create_predictor(model_settings(tmp_path, metadata={"typeSchema": schema}))
    predictor.load()
    try:
        predictor.read_input(payload("a,b\n1,2\n"))
        predictor.read_input(payload(mtx(3, 2), "mtx"))
        with pytest.raises(InputSchemaError, match="column 'b' is NUM"):
            predictor.read_input(payload("a,b\n1,2.5\n"))
    finally:
        predictor.close()


def test_blocks_of_a_streamed_prediction_are_checked(make: LoadWithSchema) -> None:
    predictor = make(input_requirement("contains_missing", "EQUALS", "FORBIDDEN"))
    blocks = predictor.predict_stream(payload("a\n" + "1\n" * 10_000 + '""\n'))
    assert len(next(blocks).values) == 10_000  # type: ignore[union-attr]
    with pytest.raises(InputSchemaError, match="column 'a'"):
        next(blocks)


def test_predictions_are_checked(make: LoadWithSchema) -> None:
    predictor = make(output_requirement("data_types", "EQUALS", "CAT"))
    with pytest.raises(OutputSchemaError) as broken:
        predictor.predict(predictor.read_input(payload("a\n1\n")))
    assert broken.value.message == (
        "The model's output breaks typeSchema: data_types EQUALS CAT is required, but the column 'Predictions' is NUM."
    )
    assert (broken.value.status, broken.value.exit_code) == (500, 3)


TRANSFORMS = {
    "same": "return X",
    "spoiled": "X.iloc[0, 0] = None\n    return X",
    "wider": "return X.assign(more=1)",
    "words": "return X.assign(more='red')",
    "sparse": "from scipy.sparse import csr_matrix\n    return csr_matrix(X.fillna(0).to_numpy())",
}


@each_case(
    ("field", "value", "broken_by"),
    [
        ("number_of_columns", "IDENTITY", {"wider", "words"}),
        ("contains_missing", "IDENTITY", {"spoiled"}),
        ("contains_missing", "NEVER", {"spoiled"}),
        ("contains_missing", "DYNAMIC", set()),
        ("sparse", "IDENTITY", {"sparse"}),
        ("sparse", "NEVER", {"sparse"}),
        ("sparse", "ALWAYS", {"same", "spoiled", "wider", "words"}),
        ("sparse", "DYNAMIC", set()),
        ("data_types", "IDENTITY", {"words"}),
        ("data_types", "NUM", {"words"}),
    ],
)
def test_transformed_samples_are_checked(make: LoadWithSchema, field: str, value: str, broken_by: set[str]) -> None:
    found = set()
    for name, body in TRANSFORMS.items():
        code = f"def transform(X, model):\n    {body}\n"
        predictor = make(output_requirement(field, "EQUALS", value), code, "transform")
        try:
            predictor.transform(payload("a,b\n1.5,2.5\n3.5,4.5\n"), None)
        except OutputSchemaError:
            found.add(name)
        predictor.close()
    assert found == broken_by


def test_objects_of_read_input_data_other_than_tables_are_not_checked(make: LoadWithSchema) -> None:
    code = COUNT + "def read_input_data(data): return [1, 2]\n"
    assert make(input_requirement("data_types", "IN", ["IMG"]), code).read_input(payload("a\n1\n")) == [1, 2]


def test_non_strict_schema_logs_a_warning(make: LoadWithSchema, caplog: pytest.LogCaptureFixture) -> None:
    predictor = make(input_requirement("data_types", "IN", ["IMG"]), strict_type_schema=False)
    with caplog.at_level(logging.WARNING):
        assert isinstance(predictor.read_input(payload("a\n1\n")), pd.DataFrame)
    assert "column 'a' is NUM or CAT" in caplog.text


NUMBER = {"field": "number_of_columns", "condition": "EQUALS", "value": 1}


@each_case(
    ("schema", "reason"),
    [
        ([], "typeSchema in model-metadata.yaml must be a mapping with input_requirements and output_requirements."),
        ({"inputs": []}, "has the unknown key 'inputs': use input_requirements, output_requirements."),
        ({"input_requirements": {}}, "typeSchema.input_requirements in model-metadata.yaml must be a list"),
        ({"input_requirements": [3]}, "input_requirements[0] in model-metadata.yaml must be a mapping of field"),
        ({"input_requirements": [NUMBER, NUMBER | {"x": 1}]}, "input_requirements[1]"),
        ({"input_requirements": [NUMBER | {"field": "columns"}]}, "has the field 'columns': use data_types, sparse"),
        ({"input_requirements": [NUMBER | {"field": []}]}, "has the field []"),
        ({"input_requirements": [NUMBER | {"condition": "SMALLER"}]}, "has the condition 'SMALLER': use EQUALS"),
        ({"input_requirements": [NUMBER | {"value": -1}]}, "has the value -1: number_of_columns takes whole numbers"),
        ({"input_requirements": [NUMBER | {"value": True}]}, "has the value True"),
        ({"input_requirements": [NUMBER | {"value": "IDENTITY"}]}, "has the value 'IDENTITY'"),
        ({"input_requirements": [NUMBER | {"condition": "LESS_THAN", "value": [1, 2]}]}, "must have one value"),
        ({"output_requirements": [NUMBER | {"condition": "IN", "value": []}]}, "must have one value"),
        (
            input_requirement("data_types", "LESS_THAN", "NUM"),
            "has the condition 'LESS_THAN': use EQUALS, NOT_EQUALS, IN, NOT_IN",
        ),
        (input_requirement("data_types", "IN", ["NUM", "TEXT"]), "has the value 'TEXT': use NUM, CAT, TXT, IMG"),
        (input_requirement("sparse", "EQUALS", "NEVER"), "has the value 'NEVER': use SUPPORTED, REQUIRED, FORBIDDEN."),
        (
            output_requirement("sparse", "EQUALS", "FORBIDDEN"),
            "has the value 'FORBIDDEN': use NEVER, ALWAYS, DYNAMIC, IDENTITY.",
        ),
        (output_requirement("data_types", "IN", ["NUM", "IDENTITY"]), "may have IDENTITY alone"),
    ],
)
def test_malformed_schema_is_rejected_at_start(tmp_path: Path, schema: Any, reason: str) -> None:
    write_model(tmp_path, custom=COUNT)
    with pytest.raises(TypeSchemaError) as raised:
        create_predictor(model_settings(tmp_path, metadata={"typeSchema": schema}))
    assert reason in str(raised.value)
    assert raised.value.exit_code == 3


@each_case("schema", [None, {}, {"input_requirements": None}, {"output_requirements": []}])
def test_empty_schema_checks_nothing(make: LoadWithSchema, schema: Any) -> None:
    predictor = make(schema)
    assert predictor.predict(predictor.read_input(payload("a\n1\n"))).values.tolist() == [[1.5]]
