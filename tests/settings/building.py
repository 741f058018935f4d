"""Settings of a model folder, for tests."""

import json
from pathlib import Path
from typing import Any

import pytest

from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.settings.build import (
    Settings,
    build_settings,
)


def build(code_dir: Path, /, **values: Any) -> Settings:
    given_values = {
        "code_dir": str(code_dir),
        "target_type": "regression",
        "address": "localhost:8080",
        **values,
    }
    return build_settings(Arguments(**given_values))


def write_metadata(code_dir: Path, text: str) -> None:
    (code_dir / "model-metadata.yaml").write_text(text, encoding="utf-8")


def set_parameter(monkeypatch: pytest.MonkeyPatch, name: str, type_: str, payload: Any) -> None:
    monkeypatch.setenv(f"MLOPS_RUNTIME_PARAM_{name}", json.dumps({"type": type_, "payload": payload}))
