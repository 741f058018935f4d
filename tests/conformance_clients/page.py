"""The conformance page of the documentation, from the outcomes of a run."""

import platform
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

from datarobot_drum.version import __version__
from tests.conformance_clients.checks import FAILED, PASSED, UNSUPPORTED, Target
from tests.conformance_clients.environments import ClientResult

HEAD = """# Conformance

For teams with clients of another server: what their published clients ask of this one, and what they get.

`make conformance` writes this page: it installs published clients, and runs them against the [examples](../../examples)
on real servers. A default test runs the clients of the test requirements.
"""

ROW_TEXT = """## One row in every dialect

The first row of `examples/multiclass_wine/sample.csv`, each cell times 1 + 2⁻⁴⁰, so that it needs all its digits.
"All bits": each of the {count} probabilities is that of `predict_proba` in Python, without a server, to the last bit.
"""

WORDS = {PASSED: "yes", UNSUPPORTED: "not supported", FAILED: "**no**"}


def write_page(results: Sequence[ClientResult], targets: Sequence[Target]) -> str:
    """Return the page as Markdown."""
    lines = [HEAD, *_versions(results), *_row_table(results, targets)]
    for result in results:
        lines += _client(result, [target.server for target in targets])
    return "\n".join(lines).rstrip() + "\n"


def failures(results: Sequence[ClientResult]) -> list[str]:
    """Return a line for each check that failed, and for each client that did not run."""
    return [
        *(f"{result.title}: {result.error}" for result in results if result.error),
        *(
            f"{result.title}, {outcome['server']}, {outcome['asked']}: {outcome['detail']}"
            for result in results
            for outcome in result.outcomes
            if outcome["state"] == FAILED
        ),
    ]


def _versions(results: Sequence[ClientResult]) -> Iterator[str]:
    yield f"datarobot-drum {__version__}, Python {platform.python_version()}, scikit-learn {version('scikit-learn')}."
    yield ""
    yield "| client | version | passed | not supported | failed |"
    yield "| --- | --- | ---: | ---: | ---: |"
    for result in results:
        states = [outcome["state"] for outcome in result.outcomes]
        counts = [str(states.count(state)) for state in (PASSED, UNSUPPORTED, FAILED)]
        yield _line(f"[{result.title}](#{_anchor(result.title)})", _packages(result), *counts)
    yield ""


def _row_table(results: Sequence[ClientResult], targets: Sequence[Target]) -> Iterator[str]:
    yield ROW_TEXT.format(count=len(targets[0].labels))
    yield _line("dialect", "client", *(f"`{label}`" for label in targets[0].labels[:1]), "all bits", "servers")
    yield "| --- | --- | --- | --- | --- |"
    yield _line("none: `predict_proba` in Python", "scikit-learn", repr(targets[0].expected[0]), "", "")
    for result in results:
        for group in _by_request([outcome for outcome in result.outcomes if outcome["dialect"]]):
            yield _line(group[0]["dialect"], _packages(result), *_numbers(group))
    yield ""


def _numbers(group: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield the cells of one dialect: the number, whether all bits are the same, and the servers."""
    numbers = dict.fromkeys(repr(outcome["numbers"][0]) for outcome in group if outcome["numbers"])
    yield "; ".join(numbers) or "none"
    is_same = all(outcome["is_same"] for outcome in group)
    yield "yes" if is_same else f"no: {_cell(group[0]['detail'])}"
    yield ", ".join(outcome["server"] for outcome in group)


def _client(result: ClientResult, servers: Sequence[str]) -> Iterator[str]:
    yield f"## {result.title}"
    yield ""
    yield result.error or f"{_packages(result)}."
    yield ""
    if result.error:
        return
    yield _line("asked", *servers)
    yield f"| --- |{' --- |' * len(servers)}"
    for group in _by_request(result.outcomes):
        by_server = {outcome["server"]: _outcome(outcome) for outcome in group}
        yield _line(group[0]["asked"], *(by_server.get(server, "") for server in servers))
    yield ""


def _outcome(outcome: dict[str, Any]) -> str:
    word = WORDS[outcome["state"]]
    return f"{word}: {_cell(outcome['detail'])}" if outcome["detail"] else word


def _by_request(outcomes: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome["asked"], []).append(outcome)
    return list(groups.values())


def _packages(result: ClientResult) -> str:
    return ", ".join(f"{package} {number}" for package, number in result.versions.items()) or "-"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")[:300]


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _anchor(title: str) -> str:
    """Return the anchor that GitHub makes of a heading."""
    return "".join(letter for letter in title.lower().replace(" ", "-") if letter.isalnum() or letter == "-")
