"""User secrets: sources, formats and masking."""

import json
from pathlib import Path
from typing import Any

import pytest

from datarobot_drum.drum.exceptions import StartupError, UsageError
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.settings.build import build_settings
from datarobot_drum.runtime_parameters import mask_secrets
from tests.cases import each_case

pytestmark = pytest.mark.usefixtures("clean_environment")


def read(folder: Path, **arguments: Any) -> dict[str, Any]:
    (folder / "model").mkdir()
    settings = build_settings(
        Arguments(code_dir=str(folder / "model"), target_type="regression", address=":1", **arguments)
    )
    return dict(settings.model.user_secrets)


def mount(folder: Path, **secrets: str) -> str:
    mounted = folder / "secrets"
    mounted.mkdir()
    for name, text in secrets.items():
        file = mounted / name.replace("__", "/")
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return str(mounted)


def test_each_file_is_a_secret(tmp_path: Path) -> None:
    folder = mount(tmp_path, plain="abc\n", of__team="x y", document='{"user": "me", "token": "t0k3n"}')
    assert read(tmp_path, user_secrets_mount_path=folder) == {
        "plain": "abc",
        "of/team": "x y",
        "document": {"user": "me", "token": "t0k3n"},
    }


def test_hidden_files_are_skipped(tmp_path: Path) -> None:
    folder = mount(tmp_path, seen="1", **{".hidden": "2", "..data__seen": "3"})
    assert read(tmp_path, user_secrets_mount_path=folder) == {"seen": "1"}


@each_case("prefix", ["MINE", "MINE_"])
def test_variables_with_prefix_are_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
    variables = {
        "MINE_A": "123",
        "MINE_b_c": json.dumps({"type": "credential", "payload": {"credentialType": "basic", "password": "p4ss"}}),
        "MINERAL": "no",
        "MINE_": "no",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    secrets = read(tmp_path, user_secrets_prefix=prefix)
    assert secrets == {"A": "123", "b_c": {"credentialType": "basic", "password": "p4ss"}}


def test_file_overrides_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE_same", "from the variable")
    folder = mount(tmp_path, same="from the file")
    assert read(tmp_path, user_secrets_mount_path=folder, user_secrets_prefix="MINE") == {"same": "from the file"}


def test_no_secrets_by_default(tmp_path: Path) -> None:
    assert read(tmp_path) == {}


def test_secrets_are_masked(tmp_path: Path) -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBg\n-----END KEY-----"
    folder = mount(tmp_path, plain="abcdef", document='{"user": "somebody", "token": "t0k3n"}', key=key)
    read(tmp_path, user_secrets_mount_path=folder)
    assert mask_secrets("abcdef t0k3n somebody") == "**** **** somebody"
    assert mask_secrets(key) == "****"
    assert "MIIEvQIBADANBg" not in mask_secrets(" ".join(key.split()))


@each_case(
    ("content", "reason"),
    [
        (b'{"token": "t0k3n"', "The user secret s begins like a JSON object but is malformed."),
        (b"\xff\xfe\xfd", "The user secret .*s is not UTF-8 text."),
    ],
)
def test_malformed_secret_raises_error_without_its_text(tmp_path: Path, content: bytes, reason: str) -> None:
    folder = mount(tmp_path)
    (Path(folder) / "s").write_bytes(content)
    with pytest.raises(StartupError, match=reason) as failed:
        read(tmp_path, user_secrets_mount_path=folder)
    assert "t0k3n" not in str(failed.value)
    assert failed.value.__cause__ is None


def test_mount_path_must_be_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--user-secrets-mount-path .*nowhere is not a folder\."):
        read(tmp_path, user_secrets_mount_path=str(tmp_path / "nowhere"))
