"""The hooks of a module are found, checked, and called with the keywords they accept."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.language_predictors.hooks import HOOKS, Hook, find_hooks
from tests.cases import each_case


def module(**attributes: Any) -> ModuleType:
    created = ModuleType("custom")
    created.__dict__.update(attributes)
    return created


def find(**attributes: Any) -> dict[str, Hook]:
    return find_hooks(module(**attributes))


class Scorer:
    def __call__(self, data: Any, model: Any, **kwargs: Any) -> Any:
        return kwargs


KEYWORDS = {"positive_class_label": "yes", "negative_class_label": "no", "class_labels": ["no", "yes"]}


@each_case(
    ("score", "accepted"),
    [
        pytest.param(lambda data, model, **kwargs: kwargs, KEYWORDS, id="all keywords"),
        pytest.param(lambda data, model: {}, {}, id="none"),
        pytest.param(lambda *args: {}, {}, id="any arguments"),
        pytest.param(
            lambda d, m, positive_class_label: {"positive_class_label": positive_class_label},
            {"positive_class_label": "yes"},
            id="one of them",
        ),
        pytest.param(
            lambda *args, class_labels=(): {"class_labels": class_labels}, {"class_labels": ["no", "yes"]}, id="by name"
        ),
        pytest.param(lambda data, model, extra=1: {"extra": extra}, {"extra": 1}, id="own default"),
        pytest.param(Scorer(), KEYWORDS, id="callable object"),
    ],
)
def test_hook_receives_the_keywords_it_accepts(score: Callable[..., Any], accepted: dict[str, Any]) -> None:
    assert find(score=score)["score"]("data", "model", **KEYWORDS) == accepted


def test_hook_receives_documented_arguments_by_position() -> None:
    hook = find(transform=lambda anything, /, something: (anything, something))["transform"]
    assert hook(1, 2) == (1, 2)


def test_only_a_hook_with_the_parameter_receives_user_secrets() -> None:
    secrets = {"a": {"token": "b"}}
    created = module(init=lambda code_dir, user_secrets: user_secrets, score=lambda data, model, **kwargs: kwargs)
    hooks = find_hooks(created, user_secrets=secrets)
    received = hooks["init"](code_dir="/model")
    assert received == secrets
    assert hooks["score"]("data", "model") == {}
    received["a"].clear()
    assert hooks["init"](code_dir="/model") == secrets == {"a": {"token": "b"}}
    assert "token" not in repr(hooks["init"])


@each_case("init", [lambda **kwargs: kwargs, lambda code_dir: {"code_dir": code_dir}])
def test_init_receives_code_dir_by_name(init: Callable[..., Any]) -> None:
    assert find(init=init)["init"](code_dir="/model") == {"code_dir": "/model"}


def test_find_hooks_ignores_other_functions() -> None:
    assert list(find(post_process=lambda p, m: p, helper=1, score=lambda d, m: d)) == ["score", "post_process"]


def test_hook_that_is_no_function_is_rejected() -> None:
    for spec in HOOKS:
        with pytest.raises(ModelLoadError, match=rf"{spec.name} as a int.*function {spec.name}\("):
            find(**{spec.name: 3})


async def _async_score(data: Any, model: Any) -> Any:
    return data


@each_case(
    ("score", "reason"),
    [
        pytest.param(
            lambda data: data, r"score\(data\) cannot be called as score\(data, model, \*\*kwargs\)", id="few"
        ),
        pytest.param(lambda data, model, weight: data, "nothing fills weight", id="many"),
        pytest.param(lambda data, *, model: data, "nothing fills model", id="by name only"),
        pytest.param(lambda a, b, class_labels, /: a, "nothing fills class_labels", id="by position only"),
        pytest.param(_async_score, "plain function", id="async"),
    ],
)
def test_hook_of_another_signature_is_rejected(score: Any, reason: str) -> None:
    with pytest.raises(ModelLoadError, match=reason):
        find(score=score)


def test_function_without_signature_receives_no_keywords() -> None:
    class Hidden:
        __signature__ = "none"

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return args, kwargs

    hook = Hook(HOOKS[0], Hidden(), frozenset())
    assert hook(1, code_dir="x") == ((1,), {})
    assert find(transform=max)["transform"](1, 2) == 2
