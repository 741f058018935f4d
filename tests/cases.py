"""Many inputs in one test: all of them run, and the report lists those that fail."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from itertools import product
from typing import Any

import pytest

Test = Callable[..., Any]
Case = tuple[str, dict[str, Any]]
"""The name of a case, and its arguments of the test."""


def each_case(
    names: str | Sequence[str], values: Iterable[Any], ids: Iterable[Any] | Callable[[Any], Any] | None = None
) -> Callable[[Test], Test]:
    """Run the test with each of the values, as ``pytest.mark.parametrize`` does, but as subtests of one test.

    For inputs that share a statement and need no set-up of their own: a test counts once, however many inputs it has.
    Several of these decorators make all combinations. Each case has its own ``tmp_path`` and ``monkeypatch``, and
    captures its own output and log; other fixtures are shared by the cases. A fixture that works in ``tmp_path`` has a
    method ``in_folder``, with which it moves to that of the case.
    """
    arguments = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    cases = list(_cases(arguments, list(values), ids))

    def decorate(test: Test) -> Test:
        former: list[list[Case]] = getattr(test, "axes", [])
        return _one_test(inspect.unwrap(test), [cases, *former], test)

    return decorate


def _cases(names: list[str], values: list[Any], ids: Iterable[Any] | Callable[[Any], Any] | None) -> Iterator[Case]:
    show = ids if callable(ids) else lambda word: None
    given = [] if ids is None or callable(ids) else list(ids)
    for number, value in enumerate(values):
        is_parameter_set = hasattr(value, "marks")
        words = value.values if is_parameter_set else value if len(names) > 1 else (value,)
        name = given[number] if given else value.id if is_parameter_set else None
        yield str(name or ", ".join(show(word) or _shown(word) for word in words)), dict(zip(names, words, strict=True))


def _shown(word: Any) -> str:
    """Show the begin of a value, which may be a body of megabytes."""
    return repr(word[:80] if isinstance(word, str | bytes) else word)[:80]


def _one_test(function: Test, axes: list[list[Case]], decorated: Test) -> Test:
    combinations = [
        ("; ".join(name for name, _ in cases), {key: value for _, values in cases for key, value in values.items()})
        for cases in product(*axes)
    ]
    assert combinations, f"{function.__name__} has no cases"

    if inspect.iscoroutinefunction(function):

        @wraps(decorated)
        async def run(subtests: pytest.Subtests, **fixtures: Any) -> None:
            for number, (name, values) in enumerate(combinations):
                with subtests.test(name), _own(fixtures, number) as own:
                    await function(**own, **values)
    else:

        @wraps(decorated)
        def run(subtests: pytest.Subtests, **fixtures: Any) -> None:
            for number, (name, values) in enumerate(combinations):
                with subtests.test(name), _own(fixtures, number) as own:
                    function(**own, **values)

    parameters = [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if parameter.name not in combinations[0][1]
    ]
    subtests = inspect.Parameter("subtests", inspect.Parameter.KEYWORD_ONLY)
    vars(run)["axes"] = axes
    vars(run)["__signature__"] = inspect.Signature([*parameters, subtests])
    return run


@contextmanager
def _own(fixtures: dict[str, Any], number: int) -> Iterator[dict[str, Any]]:
    """Replace what belongs to one case, and forget what the cases before it have printed and logged."""
    own = dict(fixtures)
    if "tmp_path" in own:
        folder = own["tmp_path"] = fixtures["tmp_path"] / f"case{number}"
        folder.mkdir()
        own.update({name: value.in_folder(folder) for name, value in own.items() if hasattr(value, "in_folder")})
    if "caplog" in own:
        own["caplog"].clear()
    for name in own.keys() & {"capsys", "capfd", "capfdbinary"}:
        own[name].readouterr()
    with pytest.MonkeyPatch.context() as monkeypatch:
        if "monkeypatch" in own:
            own["monkeypatch"] = monkeypatch
        yield own
