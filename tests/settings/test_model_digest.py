"""The digest of a model folder: what it depends on, what it leaves out, and its cost for large files."""

import os
import subprocess
from pathlib import Path

import pytest

from datarobot_drum.drum.settings.build import ModelSettings, settings_from_values
from datarobot_drum.drum.settings.model_digest import (
    BLOCK_BYTES,
    BLOCKS,
    MAX_WHOLE_BYTES,
    export_digests,
    known_digests,
    model_digests,
)
from datarobot_drum.drum.settings.model_identity import ModelIdentity, requested_name
from tests.cases import each_case

PAGE = Path(__file__).parents[2] / "docs" / "operate" / "model-identity.md"


def model_of(folder: Path, *more: str) -> ModelSettings:
    for name in ("custom.py", "data/model.bin", "data/a b.txt".replace(" ", "_"), *more):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")
    return settings_from_values({"code_dir": str(folder), "target_type": "regression"}).model


def digest_of(model: ModelSettings) -> str:
    return model_digests(model)[""]


def test_the_digest_is_that_of_sha256sum(tmp_path: Path) -> None:
    model = model_of(tmp_path)
    command = next(
        line for line in PAGE.read_text(encoding="utf-8").splitlines() if "sha256sum" in line and "&&" in line
    )
    shell = subprocess.run(
        ["sh", "-c", command.partition(" && ")[2]], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert digest_of(model) == shell.stdout.split()[0]


def test_names_and_contents_count_and_times_do_not(tmp_path: Path) -> None:
    model = model_of(tmp_path)
    before = digest_of(model)
    os.utime(tmp_path / "custom.py", (1, 1))
    assert digest_of(model) == before
    (tmp_path / "data" / "model.bin").write_text("other", encoding="utf-8")
    changed = digest_of(model)
    (tmp_path / "custom.py").rename(tmp_path / "custom2.py")
    assert len({before, changed, digest_of(model)}) == 3


def test_hidden_files_bytecode_and_special_files_do_not_count(tmp_path: Path) -> None:
    model = model_of(tmp_path)
    before = digest_of(model)
    model_of(tmp_path, ".git/config", ".compiled_model.json", "__pycache__/custom.pyc", "data/x.pyc")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "data" / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert digest_of(model) == before


def test_links_count_as_what_they_lead_to(tmp_path: Path) -> None:
    plain = digest_of(model_of(tmp_path / "plain"))
    model = model_of(tmp_path / "linked")
    (tmp_path / "linked" / "data").rename(tmp_path / "elsewhere")
    (tmp_path / "linked" / "data").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert digest_of(model) == plain


def test_a_large_file_counts_by_its_size_and_blocks(tmp_path: Path) -> None:
    model = model_of(tmp_path)
    path, size = tmp_path / "weights", 4 * MAX_WHOLE_BYTES
    digests = set()
    for position in (None, 0, size // 2, size - 1):
        with path.open("wb") as file:
            file.truncate(size)
            if position is not None:
                file.seek(position - position % (size // BLOCKS))
                file.write(b"x" * (size // BLOCKS + BLOCK_BYTES))
                file.truncate(size)
        digests.add(digest_of(model))
    with path.open("ab") as file:
        file.truncate(size + 1)
    digests.add(digest_of(model))
    assert len(digests) == 5


def test_workers_take_the_exported_digest_of_their_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, other = model_of(tmp_path / "a"), model_of(tmp_path / "b", "more.txt")
    monkeypatch.setenv("DRUM_MODEL_DIGESTS", "{}")
    exported = export_digests(model)
    (tmp_path / "a" / "custom.py").write_text("changed later", encoding="utf-8")
    assert known_digests(model) == exported != model_digests(model)
    assert known_digests(other) == model_digests(other)
    monkeypatch.setenv("DRUM_MODEL_DIGESTS", "nonsense")
    assert known_digests(other) == model_digests(other)


@each_case("name", ["plain", 'a "b" c', "Grö;ße@x", "a\r\nX-Evil: 1", "ü" * 1000, "", "\udcff"])
def test_the_header_is_one_visible_text_that_can_be_sent_back(name: str) -> None:
    header = ModelIdentity(name, "2 beta", "0" * 64).header
    assert header.isascii() and header.isprintable() and " " not in header and len(header) < 4000
    assert header.endswith("@2%20beta;digest=000000000000")
    assert requested_name(header, name) is None


@each_case(
    ("value", "name"),
    [
        ("flag", "flag"),
        ("flag@3;digest=abc", "flag"),
        ("flag;digest=abc", "flag"),
        ("several", "several"),
        ("several@1;digest=abc", None),
        ("", ""),
        (";", ""),
    ],
)
def test_a_header_sent_back_names_the_same_model(value: str, name: str | None) -> None:
    assert requested_name(value, "several") == name
