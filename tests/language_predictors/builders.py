"""Model settings and model folders for tests."""

from pathlib import Path
from textwrap import dedent
from typing import Any

from datarobot_drum.drum.settings.build import ModelSettings
from datarobot_drum.drum.settings.target_types import TargetType


def model_settings(
    code_dir: Path, target_type: str = "regression", labels: tuple[str, ...] = (), **changes: Any
) -> ModelSettings:
    """Settings as the command line would build them; binary labels are (negative, positive)."""
    kind = TargetType(target_type)
    is_binary = kind is TargetType.BINARY and bool(labels)
    values: dict[str, Any] = {
        "code_dir": code_dir,
        "target_type": kind,
        "target_name": None,
        "class_labels": labels,
        "positive_class_label": labels[1] if is_binary else None,
        "negative_class_label": labels[0] if is_binary else None,
        "language": None,
        "metadata": None,
    }
    return ModelSettings(**{**values, **changes})


def write_model(code_dir: Path, **files: str) -> Path:
    """Python files by their names without the suffix; ``__`` stands for a slash."""
    for name, source in files.items():
        path = code_dir / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(source), encoding="utf-8")
    return code_dir
