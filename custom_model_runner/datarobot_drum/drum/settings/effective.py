"""The final value of each setting with its origin, secrets masked, in the order of the reference."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from datarobot_drum.drum.settings.arguments import arguments_of
from datarobot_drum.drum.settings.build import ModelSettings, Settings
from datarobot_drum.drum.settings.build_record import routed_key
from datarobot_drum.drum.settings.declaration import SERVER
from datarobot_drum.drum.settings.server_parameters import SERVER_PARAMETERS
from datarobot_drum.drum.settings.tracing import EXPORTER_VARIABLE, HEADERS_VARIABLE, METRICS_EXPORTER_VARIABLE
from datarobot_drum.runtime_parameters.masking import MASK, is_secret_name, mask_credential, mask_secrets_in
from datarobot_drum.runtime_parameters.origins import DEFAULT, Origin, Source

_NOT_LISTED = ("check", "as_json", "reload", "open_docs", "server")
"""Arguments that say what the command does, not how the server runs; and one that is listed as a parameter."""


@dataclass(frozen=True)
class EffectiveSetting:
    """A setting as it holds. ``is_secret`` means that ``value`` is masked as a whole."""

    name: str
    value: Any
    origin: Origin
    is_secret: bool = False


def effective_settings(settings: Settings) -> tuple[EffectiveSetting, ...]:
    """Return the settings of a server: arguments, the model's names, variables, server parameters."""
    return tuple([*_arguments(settings), *_of_model(settings), *_variables(settings), *_parameters(settings)])


def model_parameters(settings: Settings) -> tuple[EffectiveSetting, ...]:
    """Return the runtime parameters that only model code reads."""
    server_names = {name for declared in SERVER_PARAMETERS.values() for name in declared.names}
    return tuple(
        _setting(name, mask_credential(found.value), found.origin, is_secret=is_secret_name(name))
        for name, found in sorted(settings.model_parameters.items())
        if name not in server_names
    )


def without_effect(settings: Settings) -> Iterator[str]:
    """Return a sentence for each server parameter that is set, and that this server type does not read."""
    server_type = settings.server.server_type
    for field, declared in SERVER_PARAMETERS.items():
        origin = settings.origins.get(declared.name, DEFAULT)
        if origin.source is Source.DEFAULT or server_type in declared.servers or field == "custom_model_workers":
            continue  # a warning about workers is in the log already
        readers = " and ".join(declared.servers)
        yield f"{origin.name} has no effect: the {server_type} server does not read it, only {readers}."


def _arguments(settings: Settings) -> Iterator[EffectiveSetting]:
    model = settings.model
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    final = {
        "target_type": model.target_type.value,
        "address": f"{host}:{settings.port}",
        "positive_class_label": model.positive_class_label,
        "negative_class_label": model.negative_class_label,
        "class_labels": model.class_labels,
    }
    for name, declared in arguments_of(SERVER).items():
        if name in _NOT_LISTED:
            continue
        origin = settings.origins.get(declared.flag, DEFAULT)
        is_given = origin.source is not Source.DEFAULT
        value = final[name] if name == "address" or (is_given and name in final) else settings.arguments[name]
        value = settings.logging_level if name == "logging_level" else value
        yield _setting(declared.flag, value, origin, is_secret=declared.secret)


def _of_model(settings: Settings) -> Iterator[EffectiveSetting]:
    for model in settings.model.models:
        labels = {
            "--target-type": model.target_type.value,
            "--positive-class-label": model.positive_class_label,
            "--negative-class-label": model.negative_class_label,
            "--class-labels": model.class_labels or None,
        }
        for name, value in (labels | _names(model)).items():
            key = routed_key(model.served_name, name)
            yield _setting(key, value, settings.origins.get(key, DEFAULT))
    if not settings.model.models:
        for name, value in _names(settings.model).items():
            yield _setting(name, value, settings.origins.get(name, DEFAULT))


def _names(model: ModelSettings) -> dict[str, Any]:
    return {
        "TARGET_NAME": model.target_name,
        "name": model.served_name,
        "version": model.served_version,
        "targetNames": model.target_names or None,
        "promptColumn": model.prompt_column,
    }


def _variables(settings: Settings) -> Iterator[EffectiveSetting]:
    tracing = settings.tracing
    values = {
        "URL_PREFIX": (settings.url_prefix, "URL_PREFIX"),
        EXPORTER_VARIABLE: (tracing.exporters, tracing.exporters_from),
        METRICS_EXPORTER_VARIABLE: (tracing.metric_exporters, tracing.metric_exporters_from),
        HEADERS_VARIABLE: (tracing.captured_headers, HEADERS_VARIABLE),
    }
    for name, (value, variable) in values.items():
        yield _setting(name, value or None, Origin(Source.VARIABLE, variable) if value else DEFAULT)


def _parameters(settings: Settings) -> Iterator[EffectiveSetting]:
    for field, declared in SERVER_PARAMETERS.items():
        value = getattr(settings.server, field)
        if field == "numeric_threads" and settings.thread_plan is not None:
            value = settings.thread_plan.numeric_threads
        yield _setting(declared.name, value, settings.origins.get(declared.name, DEFAULT), is_secret=declared.secret)


def _setting(name: str, value: Any, origin: Origin, *, is_secret: bool = False) -> EffectiveSetting:
    if is_secret and value not in (None, ""):
        return EffectiveSetting(name, MASK, origin, is_secret=True)
    plain = list(value) if isinstance(value, tuple) else value
    return EffectiveSetting(name, mask_secrets_in(plain), origin)
