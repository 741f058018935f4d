"""The hooks of a module: found, checked, and called with what they accept."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from datarobot_drum.drum.exceptions import ModelLoadError
from datarobot_drum.drum.language_predictors.hooks import HOOKS, Hook, find_hooks


def module(**attributes: Any) -> ModuleType:
    made = ModuleType("custom")
    made.__dict__.update(attributes)
    return made


def find(**attributes: Any) -> dict[str, Hook]:
    return find_hooks(module(**attributes))


class Scorer:
    def __call__(self, data: Any, model: Any, **kwargs: Any) -> Any:
        return kwargs


OFFERED = {"positive_class_label": "yes", "negative_class_label": "no", "class_labels": ["no", "yes"]}


@pytest.mark.parametrize(
    ("score", "accepted"),
    [
        pytest.param(lambda data, model, **kwargs: kwargs, OFFERED, id="all keywords"),
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
        pytest.param(Scorer(), OFFERED, id="callable object"),
    ],
)
def test_a_hook_gets_the_keywords_that_it_accepts(score: Callable[..., Any], accepted: dict[str, Any]) -> None:
    assert find(score=score)["score"]("data", "model", **OFFERED) == accepted


def test_the_first_arguments_are_passed_by_position() -> None:
    hook = find(transform=lambda anything, /, something: (anything, something))["transform"]
    assert hook(1, 2) == (1, 2)


def test_only_a_hook_that_names_them_gets_the_secrets() -> None:
    secrets = {"a": {"token": "b"}}
    made = module(init=lambda code_dir, user_secrets: user_secrets, score=lambda data, model, **kwargs: kwargs)
    hooks = find_hooks(made, user_secrets=secrets)
    handed = hooks["init"](code_dir="/model")
    assert handed == secrets
    assert hooks["score"]("data", "model") == {}
    handed["a"].clear()
    assert hooks["init"](code_dir="/model") == secrets == {"a": {"token": "b"}}
    assert "token" not in repr(hooks["init"])


@pytest.mark.parametrize("init", [lambda **kwargs: kwargs, lambda code_dir: {"code_dir": code_dir}])
def test_init_gets_the_code_dir_by_name(init: Callable[..., Any]) -> None:
    assert find(init=init)["init"](code_dir="/model") == {"code_dir": "/model"}


def test_only_hooks_are_found() -> None:
    assert list(find(post_process=lambda p, m: p, helper=1, score=lambda d, m: d)) == ["score", "post_process"]


@pytest.mark.parametrize("spec", HOOKS, ids=lambda spec: spec.name)
def test_what_cannot_be_called_is_refused(spec: Any) -> None:
    with pytest.raises(ModelLoadError, match=rf"{spec.name} as a int.*function {spec.name}\("):
        find(**{spec.name: 3})


async def _async_score(data: Any, model: Any) -> Any:
    return data


@pytest.mark.parametrize(
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
def test_a_hook_of_another_signature_is_refused(score: Any, reason: str) -> None:
    with pytest.raises(ModelLoadError, match=reason):
        find(score=score)


def test_a_function_that_hides_its_signature_gets_no_keywords() -> None:
    class Hidden:
        __signature__ = "none"

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return args, kwargs

    hook = Hook(HOOKS[0], Hidden(), frozenset())
    assert hook(1, code_dir="x") == ((1,), {})
    assert find(transform=max)["transform"](1, 2) == 2
