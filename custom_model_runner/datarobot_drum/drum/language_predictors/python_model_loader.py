"""Load a Python model: import ``custom.py``, load the artifact, and select what predicts."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from datarobot_drum.drum.artifact_predictors import transformers
from datarobot_drum.drum.artifact_predictors.folder_contents import explain_files
from datarobot_drum.drum.artifact_predictors.label_matching import is_order_of_labels
from datarobot_drum.drum.artifact_predictors.mlflow_folder import find_root
from datarobot_drum.drum.artifact_predictors.mlflow_signature import (
    Signature,
    complete_schema,
    select_by_name,
    signature_beside,
)
from datarobot_drum.drum.artifact_predictors.model_labels import complete_labels
from datarobot_drum.drum.artifact_predictors.registry import (
    find_predictor,
    list_extensions,
    list_unnamed_artifacts,
    load_artifact,
    require_single_artifact,
)
from datarobot_drum.drum.artifact_predictors.requirements_file import warn_about_other_versions
from datarobot_drum.drum.artifact_predictors.schema_model import SchemaModel
from datarobot_drum.drum.artifact_predictors.sklearn_schema import input_schema_of
from datarobot_drum.drum.artifact_predictors.transformers import SchemaTransformer
from datarobot_drum.drum.artifact_predictors.versions import warn_about_newer_libraries
from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.input_schema.columns import ANY, InputSchema
from datarobot_drum.drum.input_schema.declaration import read_input_schema, require_fitting_declaration
from datarobot_drum.drum.language_predictors.code_location import hook_location
from datarobot_drum.drum.language_predictors.custom_module import import_custom_file
from datarobot_drum.drum.language_predictors.hook_errors import load_errors
from datarobot_drum.drum.language_predictors.hooks import (
    HOOKS,
    TEXT_GENERATION_HOOKS,
    TRANSFORM_HOOKS,
    Hook,
    artifact_hooks,
    find_hooks,
)
from datarobot_drum.drum.language_predictors.misspelt_hooks import misspelt_hooks
from datarobot_drum.drum.language_predictors.python_model import SAMPLE_HOOKS, PythonModel
from datarobot_drum.drum.settings.target_types import TargetType
from datarobot_drum.drum.tabular.column_hints import list_names

if TYPE_CHECKING:
    from datarobot_drum.drum.settings.build import ModelSettings
    from datarobot_drum.drum.type_schema.requirements import TypeSchema

logger = logging.getLogger(__name__)


def load_python_model(
    settings: ModelSettings, custom_file: Path | None, artifacts: Sequence[Path], requirements: TypeSchema | None
) -> PythonModel:
    """Import ``custom.py``, call ``init``, load the model, and select what predicts.

    Args:
        requirements: those of ``typeSchema``, which may say of what type all columns are.

    Raises:
        ModelLoadError: a step fails, or nothing predicts.
    """
    code_dir = settings.code_dir
    warn_about_other_versions(code_dir)
    specs = TRANSFORM_HOOKS if settings.target_type is TargetType.TRANSFORM else HOOKS
    custom = import_custom_file(custom_file, code_dir) if custom_file else None
    hooks = find_hooks(custom, specs, settings.user_secrets) if custom else {}
    if custom:
        _warn_of_misspelt_hooks(custom)
    if init := hooks.get("init"):
        with load_errors("The hook init failed", code_dir):
            init(code_dir=str(code_dir))
    artifact = _choose_artifact(settings, hooks, artifacts)
    model = _load_object(settings, hooks, custom, artifacts, artifact)
    declared = _declared_schema(settings, requirements)
    classes = _find_classes(model, hooks, settings)
    settings = complete_labels(settings, classes)
    if settings.deployment is not None:
        settings.deployment.require_labels(settings.class_labels)
    if settings.target_type is TargetType.UNSTRUCTURED:
        return _bind_unstructured(settings, hooks, model)
    if settings.target_type is TargetType.TRANSFORM:
        return _bind_transformer(settings, hooks, model, declared)
    if _hooks_predict(hooks, settings.target_type):
        return _bind_hooks(settings, hooks, model, declared, classes)
    return _bind_model(settings, hooks, model, declared, signature_beside(artifact))


def _warn_of_misspelt_hooks(custom: ModuleType) -> None:
    own = [name for name, value in vars(custom).items() if getattr(value, "__module__", None) == custom.__name__]
    for sentence in misspelt_hooks(name for name in own if inspect.isfunction(vars(custom)[name])):
        logger.warning("%s.", sentence)


def _choose_artifact(settings: ModelSettings, hooks: Mapping[str, Hook], artifacts: Sequence[Path]) -> Path | None:
    """Return the artifact to load; None with a hook ``load_model``, an engine, or hooks that need no model."""
    if "load_model" in hooks:
        return None
    artifact = require_single_artifact(artifacts)
    if artifact is not None and not artifact.is_dir():
        return artifact
    if settings.engine:
        return None
    return _choose_unnamed_artifact(settings, hooks, [artifact] if artifact else None)


def _load_object(
    settings: ModelSettings,
    hooks: Mapping[str, Hook],
    custom: ModuleType | None,
    artifacts: Sequence[Path],
    artifact: Path | None,
) -> Any:
    """Return what the hook ``load_model`` returns, else the loaded artifact, else the engine that hooks call."""
    if "load_model" in hooks:
        for path in artifacts:
            warn_about_newer_libraries(path)
        return _call_load_model(settings.code_dir, hooks["load_model"])
    if artifact is None:
        return settings.engine
    if (root := find_root(artifact)) and root != settings.code_dir:
        warn_about_other_versions(root)
    return load_artifact(artifact, custom, settings.pickle_policy)


def _bind_hooks(
    settings: ModelSettings,
    hooks: Mapping[str, Hook],
    model: Any,
    declared: InputSchema,
    classes: Sequence[Any] | None,
) -> PythonModel:
    _log_undeclared_types(declared)
    is_label_order = (
        classes is None
        or not settings.target_type.is_classification
        or is_order_of_labels(classes, settings.class_labels)
    )
    return PythonModel(settings, hooks, model, None, "custom", input_schema=declared, is_label_order=is_label_order)


def _bind_unstructured(settings: ModelSettings, hooks: Mapping[str, Hook], model: Any) -> PythonModel:
    """Bind the hook for bodies of any media type, else the function of an artifact that stands for it."""
    predictor = None if "score_unstructured" in hooks or model is None else find_predictor(model)
    if predictor is None:
        _require_hook(hooks, "score_unstructured", settings.target_type)
        return PythonModel(settings, hooks, model, None, "custom")
    hooks = {**artifact_hooks(predictor.functions(model, settings)), **hooks}
    _require_hook(hooks, "score_unstructured", settings.target_type)
    return PythonModel(settings, hooks, model, None, predictor.name)


def _bind_model(
    settings: ModelSettings, hooks: Mapping[str, Hook], model: Any, declared: InputSchema, signature: Signature
) -> PythonModel:
    """Bind a model without a score hook to its framework.

    Args:
        signature: the one that MLflow has stored beside the artifact.

    Raises:
        ModelLoadError: no framework predicts with it.
    """
    if model is None:
        raise ModelLoadError(
            "Nothing predicts: add a score hook or a load_model hook to custom.py, or a model artifact "
            f"({list_extensions()}) to the model folder.{explain_files(settings.code_dir)}"
        )
    predictor = find_predictor(model)
    if predictor is None:
        advice = "give --target-type transform, or " if transformers.is_transformer(model) else ""
        raise ModelLoadError(
            f"The model is a {type(model).__name__}, which has no predict method: {advice}add a score hook to "
            "custom.py."
        )
    if "post_process" not in hooks:  # the hook may make what the target needs of any prediction
        predictor.require_fitting_target(model, settings)
    bound = predictor.bind(model, settings)
    functions = artifact_hooks(predictor.functions(model, settings))
    if bound is None:
        return PythonModel(settings, {**functions, **hooks}, model, None, predictor.name)
    own = predictor.input_schema(model)
    completed = complete_schema(own, signature)
    schema, read_by = _combine(completed, declared, hooks)
    artifact = SchemaModel(select_by_name(bound, own, completed), schema)
    hooks = {**functions, **hooks}
    return PythonModel(settings, hooks, model, artifact, predictor.name, input_schema=read_by)


def _bind_transformer(
    settings: ModelSettings, hooks: Mapping[str, Hook], model: Any, declared: InputSchema
) -> PythonModel:
    predictor = None if "transform" in hooks or model is None else find_predictor(model)
    if predictor is not None and (transformer := predictor.transformer(model)) is not None:
        schema, read_by = _combine(predictor.input_schema(model), declared, hooks)
        bound = SchemaTransformer(transformer, schema)
        return PythonModel(settings, hooks, bound, None, predictor.name, input_schema=read_by)
    name = _transformer_name(hooks, model)
    if "transform" in hooks:
        _log_undeclared_types(declared)
        return PythonModel(settings, hooks, model, None, name, input_schema=declared)
    schema, read_by = _combine(input_schema_of(model), declared, hooks)
    return PythonModel(settings, hooks, SchemaTransformer(model, schema), None, name, input_schema=read_by)


def _declared_schema(settings: ModelSettings, requirements: TypeSchema | None) -> InputSchema:
    """Return the types that the owner declared: by column, and for all columns by the type schema."""
    rest = ANY if requirements is None else requirements.type_of_all_columns
    return InputSchema(declared=read_input_schema(settings.metadata), rest=rest)


def _combine(own: InputSchema, declared: InputSchema, hooks: Mapping[str, Hook]) -> tuple[InputSchema, InputSchema]:
    """Return the schemas that a model's samples are converted to, and that requests are read by.

    Raises:
        ModelLoadError: the declaration contradicts the model.
    """
    if SAMPLE_HOOKS & hooks.keys():
        _log_undeclared_types(declared)
        return own, declared
    require_fitting_declaration(own, declared.declared)
    schema = own.declare(declared.declared, declared.rest)
    _log_unknown_types(schema)
    return schema, schema


def _log_unknown_types(schema: InputSchema) -> None:
    """Warn once of columns whose types depend on the cells of a request."""
    if unknown := schema.unknown:
        logger.warning(
            "The model does not show the types of these columns, so pandas.read_csv infers them from the rows of each "
            "request: %s. Declare them under inputSchema in model-metadata.yaml, for example %r: text.",
            list_names(unknown),
            unknown[0],
        )
    elif not schema.is_known:
        _log_undeclared_types(schema)
    if notes := schema.notes:
        logger.warning(
            "The model does not fully show the types of these columns: %s. Declare them under inputSchema in "
            "model-metadata.yaml: a number as `name: number`, a truth value as `name: boolean`, categories in the "
            "order of training as `name: {type: category, categories: [first, second]}`.",
            list_names(notes),
        )


def _log_undeclared_types(declared: InputSchema) -> None:
    """Log once that no column has a known type."""
    if not declared.is_known:
        logger.info(
            "The types of the model's columns are not known, so pandas.read_csv infers them from the rows of each "
            "request. Declare them under inputSchema in model-metadata.yaml, for example zip: text."
        )


def _hooks_predict(hooks: Mapping[str, Hook], target_type: TargetType) -> bool:
    """Return True if the hooks need no model of ours."""
    if target_type is TargetType.UNSTRUCTURED:
        return "score_unstructured" in hooks
    if target_type is TargetType.TRANSFORM:
        return "transform" in hooks
    generates_text = target_type.may_chat and not hooks.keys().isdisjoint(TEXT_GENERATION_HOOKS)
    return "score" in hooks or "score_stream" in hooks or generates_text


def _choose_unnamed_artifact(
    settings: ModelSettings, hooks: Mapping[str, Hook], folders: Sequence[Path] | None
) -> Path | None:
    """Return the only model folder, or artifact of an unknown name; None if the hooks predict and may use it as data.

    Args:
        folders: the code dir if it is a model folder as a whole; None to search in it.
    """
    artifacts = list_unnamed_artifacts(settings.code_dir) if folders is None else folders
    if not _hooks_predict(hooks, settings.target_type):
        return require_single_artifact(artifacts)
    if artifacts:
        logger.info(
            "%s may be a model, but is not loaded, since custom.py predicts: its hooks receive None as the model. "
            "To change that, add a load_model hook.",
            ", ".join(path.name for path in artifacts),
        )
    return None


def _find_classes(model: Any, hooks: Mapping[str, Hook], settings: ModelSettings) -> Sequence[Any] | None:
    """Return the model's own classes if labels are missing, or if a hook may return them as unnamed columns.

    Raises:
        ModelLoadError: the model, which predicts without a hook, is of another kind than the target.
    """
    has_scoring_hook = not hooks.keys().isdisjoint(("score", "score_stream"))
    is_needed = settings.target_type.has_class_labels and (not settings.class_labels or has_scoring_hook)
    predictor = find_predictor(model) if is_needed and model is not None else None
    if predictor is None:
        return None
    if not has_scoring_hook:
        predictor.require_fitting_target(model, settings)
    return predictor.class_names(model)


def _transformer_name(hooks: Mapping[str, Hook], model: Any) -> str:
    """Return the name of what transforms.

    Raises:
        ModelLoadError: nothing transforms.
    """
    if "transform" in hooks:
        return "custom"
    if transformers.is_transformer(model):
        return transformers.NAME
    found = "there is no model" if model is None else f"the model is a {type(model).__name__}, without transform"
    raise ModelLoadError(
        f"Nothing transforms: {found}. Add a transform hook to custom.py, or a fitted transformer (.pkl, .joblib)."
    )


def _require_hook(hooks: Mapping[str, Hook], name: str, target_type: TargetType) -> None:
    if name not in hooks:
        raise ModelLoadError(f"A model of target type {target_type.value} needs the hook {name} in custom.py.")


def _call_load_model(code_dir: Path, hook: Hook) -> Any:
    with load_errors("The hook load_model failed", code_dir):
        model = hook(str(code_dir))
    if model is None:
        location = hook_location(hook.function, code_dir)
        raise ModelLoadError(f"{location}The hook load_model returned None: it must return the model.")
    return model
