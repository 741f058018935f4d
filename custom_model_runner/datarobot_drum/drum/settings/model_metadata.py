"""The file ``model-metadata.yaml`` at the top level of the code dir."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datarobot_drum.drum.exceptions import StartupError
from datarobot_drum.drum.settings.target_types import TargetType

FILE_NAME = "model-metadata.yaml"
INPUT_SCHEMA = "inputSchema"
MODELS = "models"
_INFERENCE_SECTION = "inferenceModel"


@dataclass(frozen=True)
class ModelMetadata:
    """The content of the file. ``document`` is None without a file.

    Names and labels are read from ``texts``, the same document with every scalar as written: a label ``yes`` or
    ``010`` must not become true or 8. They stand under ``inferenceModel`` or at the top level.
    """

    document: Mapping[str, Any] | None = None
    texts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str | None:
        """The name of the model for clients that request it by name."""
        return self._plain_text("name")

    @property
    def version(self) -> str | None:
        """The version of the model for such clients."""
        return self._plain_text("version")

    @property
    def target_type(self) -> str | None:
        return self._text("targetType")

    @property
    def target_name(self) -> str | None:
        return self._text("targetName")

    @property
    def positive_class_label(self) -> str | None:
        return self._text("positiveClassLabel")

    @property
    def negative_class_label(self) -> str | None:
        return self._text("negativeClassLabel")

    @property
    def class_labels(self) -> tuple[str, ...]:
        """The labels of a list, or of one text that separates them by blanks."""
        return self._texts("classLabels", "labels")

    @property
    def target_names(self) -> tuple[str, ...]:
        """The names of several regression targets, in the order of the model's values."""
        return self._texts("targetNames", "names")

    @property
    def prompt_column(self) -> str | None:
        """The column in which the ``score`` hook of a text generation model expects the prompt of a chat."""
        return self._text("promptColumn")

    @property
    def parameter_definitions(self) -> Any:
        """``runtimeParameterDefinitions`` as read, unchecked; None without any."""
        return (self.document or {}).get("runtimeParameterDefinitions")

    def has(self, key: str) -> bool:
        """Return True if a key that names something has a value."""
        return self._find(key) is not None

    def override(self, values: Mapping[str, Any], texts: Mapping[str, Any]) -> "ModelMetadata":
        """Return the metadata with these keys at the top level, and nowhere else.

        Args:
            values: as read.
            texts: the same values as written.
        """
        if not values:
            return self
        document = {**_without(self.document or {}, values), **values}
        if INPUT_SCHEMA in values:
            document[INPUT_SCHEMA] = _as_written(values[INPUT_SCHEMA], texts[INPUT_SCHEMA])
        return ModelMetadata(document, {**_without(self.texts, values), **texts})

    def _texts(self, key: str, content: str) -> tuple[str, ...]:
        values = self._find(key)
        if values is None:
            return ()
        if isinstance(values, str):
            return tuple(values.split())
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise StartupError(f"{key} in {FILE_NAME} must be a list of {content}.")
        return tuple(values)

    def _plain_text(self, key: str) -> str | None:
        """Return a text at the top level; None for anything else, since other tools use these keys, too."""
        value = self.texts.get(key)
        return value if isinstance(value, str) and value.strip() else None

    def _text(self, key: str) -> str | None:
        value = self._find(key)
        if value is not None and not isinstance(value, str):
            raise StartupError(f"{key} in {FILE_NAME} must be text.")
        return value or None

    def _find(self, key: str) -> Any:
        """Return the value as written; None if it is absent or null."""
        for values, texts in self._sections():
            if values.get(key) is not None:
                return texts[key]
        return None

    def _sections(self) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
        whole = (self.document or {}, self.texts)
        inner = tuple(section.get(_INFERENCE_SECTION) for section in whole)
        if isinstance(inner[0], Mapping) and isinstance(inner[1], Mapping):
            return [(inner[0], inner[1]), whole]
        return [whole]


def read_model_metadata(code_dir: Path) -> ModelMetadata:
    """Read the file of a code dir; without one, return empty metadata.

    Raises:
        StartupError: the file is unreadable or not a YAML mapping.
    """
    path = code_dir / FILE_NAME
    if not path.exists():
        return ModelMetadata()
    from datarobot_drum.runtime_parameters.yaml_documents import read_texts, read_values

    values, texts = read_values(path, StartupError), read_texts(path, StartupError)
    if INPUT_SCHEMA in values:
        values[INPUT_SCHEMA] = _as_written(values[INPUT_SCHEMA], texts[INPUT_SCHEMA])
    return ModelMetadata(values, texts)


def _without(section: Mapping[str, Any], keys: Mapping[str, Any]) -> dict[str, Any]:
    """Return a section without the keys, which may also stand under ``inferenceModel``."""
    left = {key: value for key, value in section.items() if key not in keys}
    inner = left.get(_INFERENCE_SECTION)
    if isinstance(inner, Mapping):
        left[_INFERENCE_SECTION] = {key: value for key, value in inner.items() if key not in keys}
    return left


def _as_written(value: Any, text: Any) -> Any:
    """Return values of YAML whose texts have no other value: a column ``no`` or a category ``010`` stays text."""
    if isinstance(value, Mapping) and isinstance(text, Mapping) and len(value) == len(text):
        return {key: _as_written(item, own) for (key, own), item in zip(text.items(), value.values(), strict=True)}
    if isinstance(value, list) and isinstance(text, list):
        return [_as_written(item, own) for item, own in zip(value, text, strict=True)]
    if isinstance(value, bool):
        return value if str(text).lower() in ("true", "false") else text
    if value is None or isinstance(value, int):
        return value if str(value) == text else text
    return value


def read_target_names(target_type: TargetType, metadata: ModelMetadata) -> tuple[str, ...]:
    """Return the names of several targets of a regression model; none for one target.

    Raises:
        StartupError: two names are equal.
    """
    names = metadata.target_names if target_type is TargetType.REGRESSION else ()
    if len(set(names)) < len(names):
        raise StartupError(f"targetNames in {FILE_NAME} must differ: {', '.join(map(repr, names))}.")
    return names if len(names) > 1 else ()
