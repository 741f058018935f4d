"""Limits of request contents: defaults of each server, switches, and the width of the model."""

from pathlib import Path

import pytest

from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.settings.build import build_model_settings
from datarobot_drum.drum.settings.declaration import settings_of
from datarobot_drum.drum.settings.limits import UNLIMITED, InputLimits
from tests.cases import each_case
from tests.settings.building import build

pytestmark = pytest.mark.usefixtures("clean_environment")

MIB = 1024 * 1024
DOCUMENT = (Path(__file__).parents[2] / "docs" / "operate" / "limits.md").read_text(encoding="utf-8")


@each_case(
    ("server_type", "decoded", "rows"),
    [("fastapi", 100 * MIB, 10_000_000), ("flask", 1024 * MIB, 100_000_000), ("gunicorn", 1024 * MIB, 100_000_000)],
)
def test_defaults_depend_on_the_server_where_existing_deployments_need_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server_type: str, decoded: int, rows: int
) -> None:
    monkeypatch.setenv("DRUM_SERVER_TYPE", server_type)
    limits = build(tmp_path).model.limits
    assert (limits.max_decoded_size, limits.max_rows) == (decoded, rows)
    assert (limits.max_columns, limits.max_json_depth, limits.max_cell_size) == (50_000, 100, 10 * MIB)


@each_case("server_type", ["fastapi", "flask"])
@each_case(("upload_size", "decoded"), [("5MB", 5 * MIB), ("0", 1024 * MIB)])
def test_decoded_size_follows_the_size_of_the_body(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server_type: str, upload_size: str, decoded: int
) -> None:
    monkeypatch.setenv("DRUM_SERVER_TYPE", server_type)
    monkeypatch.setenv("DRUM_MAX_UPLOAD_SIZE", upload_size)
    assert build(tmp_path).model.limits.max_decoded_size == decoded


def test_every_limit_has_a_switch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for parameter in settings_of(InputLimits).values():
        monkeypatch.setenv(parameter.name, "0")
    assert build(tmp_path).model.limits == UNLIMITED


def test_commands_limit_only_what_a_small_file_can_declare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRUM_MAX_RECORD_BATCH_SIZE", "5MB")
    monkeypatch.setenv("DRUM_MAX_CELL_SIZE", "3")
    limits = build_model_settings(Arguments(code_dir=str(tmp_path), target_type="regression")).limits
    assert (limits.max_rows, limits.max_columns, limits.max_decoded_size) == (0, 0, 0)
    assert (limits.max_record_batch_size, limits.max_cell_size) == (5 * MIB, 3)
    assert limits.max_compression_ratio == 700


@each_case(
    ("width", "limit", "columns"),
    [
        (None, 50_000, 50_000),
        (3, 50_000, 10_000),
        (2000, 50_000, 20_000),
        (9000, 50_000, 50_000),
        (70_000, 50_000, 70_000),
        (3, 5, 5),
        (7, 5, 7),
        (3, 0, 0),
    ],
)
def test_width_of_the_model_limits_the_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int | None, limit: int, columns: int
) -> None:
    monkeypatch.setenv("DRUM_MAX_COLUMNS", str(limit))
    assert build(tmp_path).model.limits.for_width(width).max_columns == columns


def test_document_lists_every_limit() -> None:
    assert not [found.name for found in settings_of(InputLimits).values() if f"`{found.name}`" not in DOCUMENT]
