"""The transform example on every server: the request of its README."""

import io
import pickle
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests.api.answers import Answer, ask_all, the_one
from tests.api.trios import Trio, running_trio
from tests.multipart_answers import read_form

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "transform_scaling"


@pytest.fixture(scope="module")
def model(artifacts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example with its artifact."""
    folder = tmp_path_factory.mktemp("example") / "transform_scaling"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("*.pkl"))
    shutil.copy(artifacts / "transform_scaling" / "model.pkl", folder)
    return folder


@pytest.fixture(scope="module")
def trio(model: Path) -> Iterator[Trio]:
    with running_trio(model.parent / "logs", "--code-dir", model) as trio:
        yield trio


def follow_readme(trio: Trio) -> Answer:
    """Send the request of the README's curl command."""
    lines = (EXAMPLE / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 5
    (request,) = (line for line in lines if line.startswith("Call it: "))
    words = shlex.split(request.removeprefix("Call it: ").strip("`"))
    assert words[:4] == ["curl", "-X", "POST", "-F"]
    name, _, file = words[4].partition("=@")
    path = words[5].removeprefix("http://127.0.0.1:8080")
    return the_one(ask_all(trio, "POST", path, files={name: (Path(file).name, (ROOT / file).read_bytes())}))


def test_response_matches_the_readme(trio: Trio, model: Path) -> None:
    answer = follow_readme(trio)
    assert answer.status == 200
    form = read_form(answer.body, dict(answer.headers)["content-type"])
    last = (EXAMPLE / "README.md").read_text(encoding="utf-8").splitlines()[-1]
    assert list(form) == last.split("`")[1::2]
    table = pd.read_csv(io.BytesIO(form["X.transformed"].content))
    assert table.shape == (8, 11)
    transformer = pickle.loads((model / "model.pkl").read_bytes())
    wanted = transformer.transform(pd.read_csv(EXAMPLE / "sample.csv"))
    pd.testing.assert_frame_equal(
        table, pd.DataFrame(wanted, columns=transformer.get_feature_names_out()), check_exact=True
    )


def test_target_is_returned_unchanged(trio: Trio) -> None:
    samples = (EXAMPLE / "sample.csv").read_bytes()
    target = b"progression\n" + b"75\n" * 8
    answer = the_one(ask_all(trio, "POST", "/transform/", files={"X": samples, "y": target}))
    assert read_form(answer.body, dict(answer.headers)["content-type"])["y.transformed"].content == target


def test_missing_column_is_named(trio: Trio) -> None:
    answer = the_one(ask_all(trio, "POST", "/transform/", content=b"age,sex\n59,2\n"))
    assert answer.status == 422
    assert b"lack 8 of the 10 columns of the model: bmi, bp" in answer.body
