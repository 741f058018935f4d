"""The custom hooks: names, signatures, and when each is required."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from datarobot_drum.drum.exceptions import BadRequest, ModelLoadError, RequestCancelled, UnprocessableInput
from datarobot_drum.drum.language_predictors.code_location import hook_location


@dataclass(frozen=True)
class HookSpec:
    """A hook of ``custom.py``.

    ``arguments`` are passed by position, ``keywords`` by name and only if the hook accepts them. ``required_when``
    completes the sentence "is required when ...".
    """

    name: str
    arguments: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    required_when: str = ""

    @property
    def signature(self) -> str:
        keywords = "**kwargs" if self.keywords else ""
        return f"{self.name}({', '.join(filter(None, (*self.arguments, keywords)))})"


HOOKS = (
    HookSpec("init", keywords=("code_dir",)),
    HookSpec("load_model", ("code_dir",), required_when="the model folder holds several artifacts, or an unknown kind"),
    HookSpec("read_input_data", ("input_binary_data",)),
    HookSpec("transform", ("data", "model")),
    HookSpec(
        "score",
        ("data", "model"),
        ("positive_class_label", "negative_class_label", "class_labels", "target_name"),
        required_when="neither an artifact nor load_model gives a model with predict",
    ),
    HookSpec("post_process", ("predictions", "model")),
    HookSpec(
        "score_unstructured",
        ("model", "data"),
        ("mimetype", "charset", "query", "headers", "mlops", "file"),
        required_when="the target type is unstructured",
    ),
    HookSpec(
        "score_stream",
        ("data", "model"),
        ("positive_class_label", "negative_class_label", "class_labels", "target_name"),
    ),
    HookSpec("chat", ("completion_create_params", "model"), ("headers",)),
    HookSpec("complete", ("params", "model"), ("headers",)),
    HookSpec("embed", ("texts", "model"), ("dimensions", "tokens", "params", "headers")),
    HookSpec("respond", ("params", "model"), ("headers",)),
    HookSpec("count_tokens", ("text", "model")),
    HookSpec("get_supported_llm_models", ("model",)),
)
"""In call order."""

TEXT_GENERATION_HOOKS = ("chat", "complete", "embed", "respond")
"""Any of them alone makes a text generation model."""

TRANSFORM_HOOKS = (
    *(spec for spec in HOOKS if spec.name in ("init", "load_model", "read_input_data")),
    HookSpec("transform", ("data", "model"), ("y",), required_when="the target type is transform, without an artifact"),
)
"""Hooks of target type transform, whose ``transform`` may also change the target."""

FIT_HOOKS = (
    *(spec for spec in HOOKS if spec.name == "init"),
    HookSpec(
        "fit", ("X", "y", "output_dir"), ("class_order", "row_weights"), required_when="drum fit trains the model"
    ),
)
"""Hooks of training."""


USER_SECRETS = "user_secrets"
"""A hook parameter of this name receives the user's secrets; ``**kwargs`` does not, since it may be logged."""


@dataclass(frozen=True)
class Hook:
    """A hook that a model defines.

    ``accepted`` are the keywords that it accepts, None for all; ``named`` are those in its signature.
    """

    spec: HookSpec
    function: Callable[..., Any]
    accepted: frozenset[str] | None
    named: frozenset[str] = frozenset()
    passthrough: tuple[type[BaseException], ...] = ()
    """Errors of a function of ours that are those of the request."""
    user_secrets: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __call__(self, *arguments: Any, **offered: Any) -> Any:
        """Call the hook with the documented arguments and the accepted ones of the offered keywords."""
        accepted = offered if self.accepted is None else self.accepted
        keywords = {name: value for name, value in offered.items() if name in accepted}
        if USER_SECRETS in self.named:
            keywords[USER_SECRETS] = deepcopy(dict(self.user_secrets))
        return self.function(*arguments, **keywords)


def find_hooks(
    module: ModuleType, specs: tuple[HookSpec, ...] = HOOKS, user_secrets: Mapping[str, Any] | None = None
) -> dict[str, Hook]:
    """Return the hooks that ``module`` defines, by name.

    Raises:
        ModelLoadError: a hook is no function, or cannot be called as documented.
    """
    hooks = {}
    for spec in specs:
        if hasattr(module, spec.name):
            candidate = getattr(module, spec.name)
            try:
                hooks[spec.name] = replace(_as_hook(spec, candidate), user_secrets=user_secrets or {})
            except ModelLoadError as error:
                raise ModelLoadError(f"{_hook_location(candidate, module)}{error}") from None
    return hooks


def artifact_hooks(functions: Mapping[str, Callable[..., Any]]) -> dict[str, Hook]:
    """Return the functions of an artifact as the hooks that they stand for."""
    specs = {spec.name: spec for spec in HOOKS}
    errors = (BadRequest, UnprocessableInput, RequestCancelled)
    return {
        name: replace(_as_hook(specs[name], function), passthrough=errors)
        for name, function in functions.items()
        if name in specs
    }


def _hook_location(candidate: Any, module: ModuleType) -> str:
    file = getattr(module, "__file__", None)
    return hook_location(candidate, Path(file).parent) if file and callable(candidate) else ""


def _as_hook(spec: HookSpec, candidate: Any) -> Hook:
    if not callable(candidate):
        raise ModelLoadError(
            f"custom.py defines {spec.name} as a {type(candidate).__name__}, but {spec.name} is a hook: it must be a "
            f"function {spec.signature}."
        )
    if inspect.iscoroutinefunction(candidate):  # async generators pass: they may stream
        raise ModelLoadError(f"The hook {spec.name} must be a plain function, not an async one.")
    try:
        parameters = list(inspect.signature(candidate).parameters.values())
    except ValueError:  # some functions written in C have no signature
        return Hook(spec, candidate, frozenset())
    if _has_target_before_model(spec, parameters):
        candidate = _reorder_target(candidate)
        parameters = [parameters[0], *parameters[2:], parameters[1].replace(kind=inspect.Parameter.KEYWORD_ONLY)]
    _require_callable_as_documented(spec, parameters)
    named = _named_keywords(spec, parameters)
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters)
    return Hook(spec, candidate, None if takes_all else named, named)


def _has_target_before_model(spec: HookSpec, parameters: list[inspect.Parameter]) -> bool:
    """Return True for ``transform(X, y, transformer)``, scikit-learn's order with the target before the model."""
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return names[1:2] == ["y"] and "y" in spec.keywords


def _reorder_target(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda data, model, y: function(data, y, model)


def _require_callable_as_documented(spec: HookSpec, parameters: list[inspect.Parameter]) -> None:
    takes_any_number = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    unfilled = _unfilled(spec, parameters)
    if unfilled or (len(_filled_by_position(spec, parameters)) < len(spec.arguments) and not takes_any_number):
        reason = f": nothing fills {', '.join(unfilled)}" if unfilled else ""
        raise ModelLoadError(
            f"The hook {spec.name}({', '.join(map(str, parameters))}) cannot be called as {spec.signature}{reason}."
        )


def _filled_by_position(spec: HookSpec, parameters: list[inspect.Parameter]) -> list[str]:
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return names[: len(spec.arguments)]


def _unfilled(spec: HookSpec, parameters: list[inspect.Parameter]) -> list[str]:
    """Return the extra parameters that have no default and that no keyword fills."""
    filled = _filled_by_position(spec, parameters)
    return [
        p.name
        for p in parameters
        if p.default is p.empty
        and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        and p.name not in filled
        and (p.name not in (*spec.keywords, USER_SECRETS) or p.kind is p.POSITIONAL_ONLY)
    ]


def _named_keywords(spec: HookSpec, parameters: list[inspect.Parameter]) -> frozenset[str]:
    named = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    return frozenset(named.difference(_filled_by_position(spec, parameters)))
