"""The checks of the conformance page, with the clients of the test requirements, on FastAPI."""

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from tests.conformance_clients.checks import FAILED, PASSED, UNSUPPORTED, Check, Checks, NotSupported, Target
from tests.conformance_clients.environments import CLIENTS, ClientResult
from tests.conformance_clients.page import failures, write_page
from tests.conformance_clients.servers import running_target

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "conformance.md"
MODULES = {
    client.title: import_module(f"tests.conformance_clients.{client.module}")
    for client in CLIENTS
    if not client.requirements
}
CASES = [
    pytest.param(module.CHECKS, check, id=f"{title}: {check.asked}")
    for title, module in MODULES.items()
    for check in module.CHECKS.checks
]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with running_target("fastapi", tmp_path_factory.mktemp("conformance"), platforms=False) as target:
        yield target


@pytest.mark.process
@pytest.mark.parametrize(("checks", "check"), CASES)
def test_client_gets_what_it_expects(target: Target, checks: Checks, check: Check) -> None:
    (outcome,) = Checks(checks.packages, checks=[check]).run(target)
    assert outcome.state != FAILED, outcome.detail


def test_the_page_has_every_check_and_no_failure() -> None:
    page = PAGE.read_text(encoding="utf-8")
    missing = [check.asked for module in MODULES.values() for check in module.CHECKS.checks if check.asked not in page]
    assert missing == [], "run `make conformance`"
    assert "**no**" not in page


def _target(**servers: str) -> Target:
    return Target("fastapi", "http://x", "m", {"a": 1.0}, ["p"], [0.1], **servers)


def test_numbers_are_compared_to_the_last_bit() -> None:
    checks = Checks(())
    checks.add("same", "exact")(lambda target: [0.1])
    checks.add("one bit more", "wrong")(lambda target: [0.1 + 2**-56])
    checks.add("near", "rounded", inexact="32 bits")(lambda target: [0.100000001])
    checks.add("far", "lost", inexact="32 bits")(lambda target: [0.2])
    checks.add("none", "empty")(lambda target: [])
    outcomes = checks.run(_target())
    assert [outcome.state for outcome in outcomes] == [PASSED, FAILED, PASSED, FAILED, FAILED]
    assert [outcome.is_same for outcome in outcomes] == [True, False, False, False, False]


def test_a_check_without_its_server_does_not_run() -> None:
    checks = Checks((), needs="chat")
    checks.add("a chat")(lambda target: None)
    assert checks.run(_target()) == []
    assert [outcome.state for outcome in checks.run(_target(chat="http://y"))] == [PASSED]


def test_page_shows_failures_and_clients_that_did_not_run() -> None:
    checks = Checks(())

    @checks.add("shared | memory")
    def unsupported(target: Target) -> None:
        raise NotSupported("400 that says so")

    @checks.add("csv", "csv")
    def wrong(target: Target) -> list[float]:
        return [0.2]

    outcomes = [vars(outcome) for outcome in checks.run(_target())]
    assert [outcome["state"] for outcome in outcomes] == [UNSUPPORTED, FAILED]
    results = [
        ClientResult("A (b)", {"a": "1"}, outcomes),
        ClientResult("B", {}, [], "does not install here: no wheel"),
    ]
    page = write_page(results, [_target()])
    assert "| csv | **no**: [0.2] are not [0.1] |" in page
    assert re.search(r"\| csv \| a 1 \| 0.2 \| no: .* \| fastapi \|", page)
    assert "[A (b)](#a-b)" in page and "does not install here: no wheel" in page
    assert len(failures(results)) == 2
