"""Checks of one client: what it asks of a server, and what came of it.

This module needs the standard library alone: the checks of a client run in the environment of the client.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

PASSED, UNSUPPORTED, FAILED = "passed", "unsupported", "failed"


@dataclass(frozen=True)
class Target:
    """The servers of one type, and the row that every dialect sends.

    Args:
        url: of the model; ``chat``, ``sagemaker`` and ``vertex`` are further servers, empty if they do not run.
        grpc: host and port; empty without gRPC.
        model: its name in V2.
        row: the cells by column.
        labels: of ``expected``, which are the probabilities that the library predicts.
    """

    server: str
    url: str
    model: str
    row: Mapping[str, float]
    labels: Sequence[str]
    expected: Sequence[float]
    grpc: str = ""
    chat: str = ""
    sagemaker: str = ""
    vertex: str = ""


class NotSupported(Exception):
    """The server rejects a feature of the client, with an error that says so."""


Ask = Callable[[Target], Any]


@dataclass(frozen=True)
class Check:
    """One request of a client.

    ``ask`` raises an error if the response is not the expected one. Returned numbers are compared with the expected
    ones, a text is a remark for the page.

    Args:
        asked: the request, for the page.
        dialect: the name in the table of all dialects; empty if it sends no row.
        needs: the server of the target that has to run.
        inexact: why the numbers are not those of the library; empty if all bits are.
    """

    asked: str
    ask: Ask
    dialect: str = ""
    needs: str = "url"
    inexact: str = ""


@dataclass(frozen=True)
class Outcome:
    """What came of a check on one type of server."""

    asked: str
    server: str
    state: str
    detail: str = ""
    dialect: str = ""
    numbers: Sequence[float] = ()
    is_same: bool | None = None
    """Whether all bits of the numbers are those of the library; None without numbers."""


@dataclass
class Checks:
    """The checks of one client, in the order of their definition.

    Args:
        packages: the distributions whose versions the page states.
    """

    packages: Sequence[str]
    needs: str = "url"
    checks: list[Check] = field(default_factory=list)

    def add(self, asked: str, dialect: str = "", *, needs: str = "", inexact: str = "") -> Callable[[Ask], Ask]:
        """Return a decorator that adds a function as a check."""

        def decorate(ask: Ask) -> Ask:
            self.checks.append(Check(asked, ask, dialect, needs or self.needs, inexact))
            return ask

        return decorate

    def run(self, target: Target) -> list[Outcome]:
        """Run the checks whose server is there."""
        return [_run(check, target) for check in self.checks if getattr(target, check.needs)]


def _run(check: Check, target: Target) -> Outcome:
    state, detail, numbers, is_same = PASSED, "", [], None
    try:
        result = check.ask(target)
    except NotSupported as error:
        state, detail = UNSUPPORTED, str(error)
    except Exception as error:  # of the client, or of an assertion; the page shows it
        state, detail = FAILED, f"{type(error).__name__}: {error}"
    else:
        if isinstance(result, str) or result is None:
            detail = result or ""
        else:
            numbers = [float(number) for number in result]
            is_same = numbers == list(target.expected)
            state, detail = _compare(check, numbers, target.expected, is_same=is_same)
    return Outcome(check.asked, target.server, state, detail, check.dialect, numbers, is_same)


def _compare(check: Check, numbers: list[float], expected: Sequence[float], *, is_same: bool) -> tuple[str, str]:
    if check.inexact:
        is_close = len(numbers) == len(expected) and all(
            math.isclose(one, other, rel_tol=1e-4) for one, other in zip(numbers, expected, strict=True)
        )
        return (PASSED, check.inexact) if is_close else (FAILED, f"{numbers} are not near {list(expected)}")
    return (PASSED, "") if is_same else (FAILED, f"{numbers} are not {list(expected)}")


def reject(call: Callable[[], object], kind: type[Exception], text: str) -> str:
    """Return the text of the error that ``call`` raises.

    Raises:
        AssertionError: it raises none, or its text lacks ``text``.
    """
    try:
        call()
    except kind as error:
        assert text in str(error), f"{text!r} is not in {error}"
        return str(error)
    raise AssertionError("no error was raised")
