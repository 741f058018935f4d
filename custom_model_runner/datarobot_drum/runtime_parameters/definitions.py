"""``runtimeParameterDefinitions`` of model-metadata.yaml, and the type check of values.

Messages contain the parameter's name and the expected type. They contain the value only if it is a number: any other
may be a misplaced secret.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from datarobot_drum.drum.exceptions import RuntimeParameterError
from datarobot_drum.runtime_parameters.masking import mask_secrets, register_credentials_in


class ParameterType(str, Enum):
    """The type of a parameter; the values are those of ``type``."""

    STRING = "string"
    BOOLEAN = "boolean"
    NUMERIC = "numeric"
    CREDENTIAL = "credential"
    DEPLOYMENT = "deployment"

    @property
    def expectation(self) -> str:
        return _EXPECTATIONS[self]


_EXPECTATIONS = {
    ParameterType.STRING: "text",
    ParameterType.BOOLEAN: "true or false",
    ParameterType.NUMERIC: "a finite number",
    ParameterType.CREDENTIAL: "a mapping with credentialType and its fields",
    ParameterType.DEPLOYMENT: "the id of a deployment as text",
}


@dataclass(frozen=True)
class Definition:
    """An entry of ``runtimeParameterDefinitions``, already checked."""

    name: str
    type: ParameterType
    default: Any = None
    minimum: float | None = None
    maximum: float | None = None
    credential_type: str | None = None
    allow_empty: bool = True

    def check(self, value: Any) -> Any:
        """Return the value as model code receives it.

        Raises:
            RuntimeParameterError: it has the wrong type or lies outside ``minValue`` and ``maxValue``.
        """
        checked = check_type(self.name, self.type, value)
        if self.type is ParameterType.NUMERIC:
            self._check_range(checked)
        if self.type is ParameterType.CREDENTIAL and self.credential_type is not None:
            self._check_credential_type(checked)
        return checked

    def require(self, value: Any) -> None:
        """Raise RuntimeParameterError for an empty value if ``allowEmpty`` is false."""
        if not self.allow_empty and value in (None, "", {}):
            raise parameter_error(self.name, "needs a value: its definition says allowEmpty: false")

    def _check_range(self, value: float) -> None:
        if self.minimum is not None and value < self.minimum:
            raise parameter_error(self.name, f"is {value}, below its minValue {self.minimum}")
        if self.maximum is not None and value > self.maximum:
            raise parameter_error(self.name, f"is {value}, above its maxValue {self.maximum}")

    def _check_credential_type(self, value: Mapping[str, Any]) -> None:
        given = value["credentialType"]
        if given != self.credential_type:
            raise parameter_error(self.name, f"has the credentialType {given!r}, defined is {self.credential_type!r}")


def parameter_error(name: str, problem: str) -> RuntimeParameterError:
    """Return an error with the parameter's name and the problem. All errors of parameters have this format."""
    return RuntimeParameterError(mask_secrets(f"Runtime parameter {name} {problem}."))


def check_type(name: str, type_: ParameterType, value: Any) -> Any:
    """Return the value if it has the type; text is never converted to a number or a boolean."""
    if not _CHECKS[type_](value):
        raise parameter_error(name, f"must be {type_.expectation}, not {_describe(value)}")
    return value


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_boolean(value: Any) -> bool:
    return isinstance(value, bool)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, int) or math.isfinite(value)


def _is_credential(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("credentialType"), str)


_CHECKS = {
    ParameterType.STRING: _is_text,
    ParameterType.BOOLEAN: _is_boolean,
    ParameterType.NUMERIC: _is_number,
    ParameterType.CREDENTIAL: _is_credential,
    ParameterType.DEPLOYMENT: _is_text,
}


def _describe(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return "text"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, Mapping):
        return "a mapping"
    return "empty" if value is None else "a list"


def parse_definitions(entries: Any, errors: list[RuntimeParameterError] | None = None) -> tuple[Definition, ...]:
    """Return the checked definitions of ``runtimeParameterDefinitions``.

    Args:
        errors: gets the errors of entries, which are then left out; without it, the first one is raised.

    Raises:
        RuntimeParameterError: there is no list; or an entry is malformed, or two have the same name.
    """
    if entries is None:
        return ()
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise RuntimeParameterError("runtimeParameterDefinitions must be a list.")
    definitions: dict[str, Definition] = {}
    for position, entry in enumerate(entries, start=1):
        with nullcontext() if errors is None else _kept(errors):
            definition = _definition(entry, position)
            if definition.name in definitions:
                raise parameter_error(definition.name, "is defined twice in runtimeParameterDefinitions")
            definitions[definition.name] = definition
    return tuple(definitions.values())


@contextmanager
def _kept(errors: list[RuntimeParameterError]) -> Iterator[None]:
    try:
        yield
    except RuntimeParameterError as error:
        errors.append(error)


def _definition(entry: Any, position: int) -> Definition:
    name = _name(entry, position)
    definition = Definition(
        name=name,
        type=_type(name, entry.get("type")),
        minimum=_limit(name, entry, "minValue"),
        maximum=_limit(name, entry, "maxValue"),
        credential_type=_credential_type(name, entry),
        allow_empty=_allow_empty(name, entry),
    )
    if definition.minimum is not None and definition.maximum is not None:
        if definition.minimum > definition.maximum:
            raise parameter_error(name, "has a minValue above its maxValue")
    return _with_default(definition, entry.get("defaultValue"))


def _name(entry: Any, position: int) -> str:
    name = entry.get("fieldName") if isinstance(entry, Mapping) else None
    if not isinstance(name, str) or not name:
        raise RuntimeParameterError(f"Entry {position} of runtimeParameterDefinitions needs a fieldName that is text.")
    return name


def _type(name: str, text: Any) -> ParameterType:
    try:
        return ParameterType(text)
    except ValueError:
        known = ", ".join(kind.value for kind in ParameterType)
        raise parameter_error(name, f"needs a type, one of {known}") from None


def _limit(name: str, entry: Mapping[str, Any], key: str) -> float | None:
    limit = entry.get(key)
    if limit is None:
        return None
    if entry["type"] != ParameterType.NUMERIC.value:
        raise parameter_error(name, f"has a {key}, which only a numeric parameter can have")
    if isinstance(limit, int | float) and _is_number(limit):
        return limit
    raise parameter_error(name, f"has a {key} that is no number")


def _credential_type(name: str, entry: Mapping[str, Any]) -> str | None:
    text = entry.get("credentialType")
    if text is None:
        return None
    if entry["type"] != ParameterType.CREDENTIAL.value or not isinstance(text, str):
        raise parameter_error(name, "has a credentialType, which is text and for credentials only")
    return text


def _allow_empty(name: str, entry: Mapping[str, Any]) -> bool:
    allowed = entry.get("allowEmpty", True)
    if not isinstance(allowed, bool):
        raise parameter_error(name, "has an allowEmpty that is neither true nor false")
    return allowed


def _with_default(definition: Definition, default: Any) -> Definition:
    if definition.type is ParameterType.CREDENTIAL and isinstance(default, str):
        # The id of a stored credential: only the platform can turn it into the credential itself.
        return definition
    if default is None:
        return definition
    register_credentials_in(default)
    return replace(definition, default=definition.check(default))
