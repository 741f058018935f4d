"""The transformer, followed as its README says: served on every server, and asked with its curl."""

import io
import pickle
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests.api.all_servers import Servers, running_servers
from tests.api.responses import Response, assert_same_response
from tests.multipart_responses import parse_form

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
def all_servers(model: Path) -> Iterator[Servers]:
    with running_servers(model.parent / "logs", "--code-dir", model) as servers:
        yield servers


def follow_readme(all_servers: Servers) -> Response:
    """Send what the curl of the README sends."""
    lines = (EXAMPLE / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 5
    (asked,) = (line for line in lines if line.startswith("Ask it: "))
    words = shlex.split(asked.removeprefix("Ask it: ").strip("`"))
    assert words[:4] == ["curl", "-X", "POST", "-F"]
    name, _, file = words[4].partition("=@")
    path = words[5].removeprefix("http://127.0.0.1:8080")
    return assert_same_response(all_servers, "POST", path, files={name: (Path(file).name, (ROOT / file).read_bytes())})


def test_the_answer_is_what_the_readme_promises(all_servers: Servers, model: Path) -> None:
    answer = follow_readme(all_servers)
    assert answer.status == 200
    form = parse_form(answer.body, dict(answer.headers)["content-type"])
    last = (EXAMPLE / "README.md").read_text(encoding="utf-8").splitlines()[-1]
    assert list(form) == last.split("`")[1::2]
    table = pd.read_csv(io.BytesIO(form["X.transformed"].content))
    assert table.shape == (8, 11)
    transformer = pickle.loads((model / "model.pkl").read_bytes())
    wanted = transformer.transform(pd.read_csv(EXAMPLE / "sample.csv"))
    pd.testing.assert_frame_equal(
        table, pd.DataFrame(wanted, columns=transformer.get_feature_names_out()), check_exact=True
    )


def test_a_target_passes_unchanged(all_servers: Servers) -> None:
    samples = (EXAMPLE / "sample.csv").read_bytes()
    target = b"progression\n" + b"75\n" * 8
    answer = assert_same_response(all_servers, "POST", "/transform/", files={"X": samples, "y": target})
    assert parse_form(answer.body, dict(answer.headers)["content-type"])["y.transformed"].content == target


def test_a_missing_column_is_named(all_servers: Servers) -> None:
    answer = assert_same_response(all_servers, "POST", "/transform/", content=b"age,sex\n59,2\n")
    assert answer.status == 422
    assert b"lack 8 of the 10 columns of the model: bmi, bp" in answer.body
