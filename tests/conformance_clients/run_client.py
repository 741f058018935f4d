"""Run the checks of one client in the environment of this interpreter: JSON in, JSON out.

python tests/conformance_clients/run_client.py MODULE < targets.json
"""

import json
import sys
from dataclasses import asdict
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any


def run(module: str, targets: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the versions of the client and the outcomes of its checks on all targets."""
    target_class = import_module("tests.conformance_clients.checks").Target
    checks = import_module(f"tests.conformance_clients.{module}").CHECKS
    outcomes = [asdict(outcome) for target in targets for outcome in checks.run(target_class(**target))]
    return {"versions": {package: version(package) for package in checks.packages}, "outcomes": outcomes}


def provide_tests() -> None:
    """Make our folder ``tests`` the package of that name: some clients install one of their own."""
    tests = Path(__file__).resolve().parents[1]
    package = ModuleType("tests")
    package.__path__ = [str(tests)]
    sys.modules["tests"] = package
    sys.path.remove(str(Path(__file__).parent))  # its modules are no top-level ones


if __name__ == "__main__":
    provide_tests()
    json.dump(run(sys.argv[1], json.load(sys.stdin)), sys.stdout)
