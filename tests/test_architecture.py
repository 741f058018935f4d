"""Guards of the package's structure: imports, environment access, lengths, names and vocabulary.

Each guard reads the source of all modules and lists every offender. Only the last ones run an interpreter.
"""

import ast
import re
import subprocess
import sys
import tokenize
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

import datarobot_drum
from tests.cases import each_case

ROOT = Path(datarobot_drum.__file__).parent
PACKAGE = "datarobot_drum"
ENVIRONMENT_READERS = {"datarobot_drum.drum.settings.build", "datarobot_drum.drum.settings.environment"}

LAYERS = (
    ("__main__",),
    ("main",),
    ("ray",),
    ("cli", "asgi", "wsgi", "gunicorn", "uvicorn", "werkzeug"),
    ("commands",),
    ("management",),
    ("root_predictors",),
    ("model_loading",),
    ("server",),
    ("flask", "fastapi", "grpc"),
    ("serving",),
    ("process",),
    ("tracing",),
    ("engine_predictors",),
    ("language_predictors",),
    ("type_schema",),
    ("artifact_predictors",),
    ("compiled_models",),
    ("input_schema",),
    ("tabular",),
    ("settings",),
    ("runtime_parameters",),
    ("cancellation",),
    ("exceptions", "error_text", "file_digest", "imports", "iterators", "version"),
)
"""Packages (or single modules) of ``drum`` from top to bottom: each imports only from the lines below its own."""

SERVER_LIBRARIES = {"flask", "werkzeug", "fastapi", "starlette", "uvicorn", "gunicorn", "gevent", "grpc", "ray"}
MAY_IMPORT_THEM = {
    "flask": {"flask", "werkzeug"},
    "fastapi": {"fastapi", "starlette"},
    "grpc": {"grpc"},
    "gunicorn": {"gunicorn"},
    "uvicorn": {"uvicorn"},
    "werkzeug": {"werkzeug"},
    "asgi": {"fastapi"},
    "ray": {"ray"},
    "wsgi": {"flask"},
    # In annotations only, never at run time.
    "server": {"fastapi", "flask"},
    "root_predictors": {"fastapi", "flask"},
}
ONLY_FOR_TYPES = ("server", "root_predictors")

MODULE_LINES, MODULE_LINES_P90, FUNCTION_LINES = 500, 300, 50

CATCH_ALL_NAMES = {"utils", "util", "helpers", "common", "misc"}

VOCABULARY = re.compile(r"\b(whoever|nobody|somebody|anew|patience|(?:is|are|was|were) told)\b", re.IGNORECASE)
"""Words that comments and docstrings avoid; the field has its own (client, caller, restart, notified, timeout)."""

LAZY = "pyarrow rich pandas numpy scipy sklearn flask werkzeug fastapi starlette uvicorn gunicorn yaml urllib3".split()

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One source file: its dotted name, the package it belongs to and its syntax tree."""

    name: str
    path: Path

    @property
    def package(self) -> str:
        """The name of its layer: the first part of its name below ``drum``."""
        return self.unit.partition(".")[0]

    @property
    def unit(self) -> str:
        """The package of two levels, such as ``serving.body``; a module that lies in none is a unit of its own."""
        inner = self.name.split(".")[1:]
        if inner[:1] == ["drum"]:
            inner = inner[1:] or ["drum"]
        return ".".join(inner[:2]) or PACKAGE

    @property
    def source(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def tree(self) -> ast.Module:
        return _parse(self.path)


@cache
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TEMPLATES = ROOT / "drum" / "commands" / "new_model" / "templates"
"""Files that ``drum new model`` copies: not modules of ours."""

SOURCES = [path for path in sorted(ROOT.rglob("*.py")) if not path.is_relative_to(TEMPLATES)]
MODULES = {_name(path): Module(_name(path), path) for path in SOURCES}


def assert_no_offenders(check: Callable[[Module], Iterable[object]]) -> None:
    """Fail with a line for every finding of ``check`` in any module."""
    lines = [f"{module.name}: {finding}" for module in MODULES.values() for finding in check(module)]
    if lines:
        pytest.fail("\n".join(lines), pytrace=False)


def _imports(tree: ast.AST) -> Iterator[str]:
    """Every dotted name that is imported anywhere in ``tree``, inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _own_imports(module: Module) -> Iterator[Module]:
    for name in _imports(module.tree):
        found = MODULES.get(name) or MODULES.get(name.rpartition(".")[0])
        if found is not None and found is not module:
            yield found


def _libraries(tree: ast.AST) -> set[str]:
    return {name.partition(".")[0] for name in _imports(tree)}


def _without_type_imports(module: Module) -> list[ast.stmt]:
    def for_types(node: ast.stmt) -> bool:
        return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"

    return [node for node in module.tree.body if not for_types(node)]


def _functions(module: Module) -> Iterator[Function]:
    return (node for node in ast.walk(module.tree) if isinstance(node, Function))


def _code_lines(function: Function) -> int:
    """Lines that hold code: no docstring, no comment, no blank line."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    nodes = chain.from_iterable(ast.walk(node) for node in body)
    return 1 + len({line for node in nodes if isinstance(node, ast.stmt | ast.expr) for line in _lines(node)})


def _lines(node: ast.stmt | ast.expr) -> set[int]:
    last = node.lineno if isinstance(node, ast.stmt) else node.end_lineno
    return {node.lineno, last or node.lineno}


def _run(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def _cycles(graph: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Groups of nodes that reach each other."""
    reachable = {node: _reachable(graph, node) for node in graph}
    groups = {frozenset(other for other in found if node in reachable[other]) for node, found in reachable.items()}
    return sorted(sorted(group) for group in groups if group)


def _reachable(graph: Mapping[str, Iterable[str]], start: str) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = set(graph[waiting.pop()]) - found
        found |= new
        waiting += new
    return found


def _texts(module: Module) -> Iterator[tuple[int, str]]:
    """Comments and docstrings (those below attributes, too) with their line numbers."""
    with module.path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value


def test_modules_belong_to_a_layer() -> None:
    known = {PACKAGE, "drum", *chain.from_iterable(LAYERS)}
    assert_no_offenders(lambda module: {module.package} - known)


def test_the_documentation_shows_the_layers() -> None:
    page = (Path(__file__).parents[1] / "docs/development/architecture.md").read_text(encoding="utf-8")
    diagram = page.partition("## Dependency direction")[2].split("```")[1].removeprefix("text\n")
    assert [tuple(line.strip().split(", ")) for line in diagram.splitlines()] == list(LAYERS[1:])


def test_imports_between_packages_point_downwards() -> None:
    height = {package: level for level, packages in enumerate(LAYERS) for package in packages}

    def upward_imports(module: Module) -> Iterator[str]:
        for other in _own_imports(module):
            if other.package != module.package and height.get(other.package, -1) <= height.get(module.package, -1):
                yield f"imports {other.name}"

    assert_no_offenders(upward_imports)


def test_modules_have_no_import_cycle() -> None:
    graph = {module.name: {other.name for other in _own_imports(module)} for module in MODULES.values()}
    assert _cycles({"a": ["b"], "b": ["a"], "c": ["a"]}) == [["a", "b"]]
    assert _cycles(graph) == []


def test_packages_have_no_import_cycle() -> None:
    graph: dict[str, set[str]] = {}
    for module in MODULES.values():
        others = {other.unit for other in _own_imports(module)}
        graph.setdefault(module.unit, set()).update(others - {module.unit})
    assert _cycles(graph) == []


def test_only_adapters_import_a_web_framework_or_server() -> None:
    def foreign_imports(module: Module) -> set[str]:
        return (_libraries(module.tree) & SERVER_LIBRARIES) - MAY_IMPORT_THEM.get(module.package, set())

    assert_no_offenders(foreign_imports)


def test_entry_points_import_web_frameworks_for_annotations_only() -> None:
    def imports_at_run_time(module: Module) -> set[str]:
        if module.package not in ONLY_FOR_TYPES:
            return set()
        loaded = {library for node in _without_type_imports(module) for library in _libraries(node)}
        return loaded & SERVER_LIBRARIES

    assert_no_offenders(imports_at_run_time)


def test_only_settings_and_runtime_parameters_read_the_environment() -> None:
    names = {"environ", "environb", "getenv", "getenvb"}

    def accesses(module: Module) -> Iterator[str]:
        if module.name in ENVIRONMENT_READERS or module.package == "runtime_parameters":
            return
        yield from {f"os.{name}" for name in names} & set(_imports(module.tree))
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "os" and node.attr in names:
                yield f"os.{node.attr} in line {node.lineno}"

    assert_no_offenders(accesses)


def test_no_module_imports_ctypes() -> None:
    assert_no_offenders(lambda module: _libraries(module.tree) & {"ctypes", "cffi"})


def test_modules_are_short() -> None:
    lengths = {module.name: len(module.source.splitlines()) for module in MODULES.values()}
    assert {name: lines for name, lines in lengths.items() if lines > MODULE_LINES} == {}
    assert sorted(lengths.values())[len(lengths) * 9 // 10] <= MODULE_LINES_P90


def test_functions_are_short() -> None:
    def long_functions(module: Module) -> Iterator[str]:
        lengths = ((function.name, _code_lines(function)) for function in _functions(module))
        return (f"{name} has {lines} lines of code" for name, lines in lengths if lines > FUNCTION_LINES)

    assert_no_offenders(long_functions)


def test_modules_have_no_catch_all_names() -> None:
    assert_no_offenders(lambda module: CATCH_ALL_NAMES & set(module.name.split(".")))


def test_comments_and_docstrings_use_the_fields_vocabulary() -> None:
    def metaphors(module: Module) -> Iterator[str]:
        for line, text in _texts(module):
            for found in VOCABULARY.finditer(text):
                yield f"line {line + text.count(chr(10), 0, found.start())}: {found[0]}"

    assert_no_offenders(metaphors)


def test_the_command_loads_nothing_that_only_a_server_needs() -> None:
    loaded = _run("import sys, datarobot_drum.drum.main; print(*sys.modules)").split()
    assert not set(LAZY) & set(loaded)


@each_case(
    ("server", "unused"),
    [("flask", "fastapi starlette uvicorn gunicorn"), ("fastapi", "flask werkzeug gunicorn")],
    ids=["flask", "fastapi"],
)
def test_a_server_loads_no_other_web_framework(server: str, unused: str) -> None:
    loaded = _run(f"import sys, datarobot_drum.drum.{server}.app; print(*sys.modules)").split()
    assert not set(unused.split()) & set(loaded)


def test_the_package_exports_what_models_and_callers_need() -> None:
    assert set(datarobot_drum.__all__) == {"RuntimeParameters", "__version__", "cancelled"}
    assert all(hasattr(datarobot_drum, name) for name in datarobot_drum.__all__)


def test_the_prediction_server_module_exports_the_documented_names() -> None:
    from datarobot_drum.drum.root_predictors import prediction_server as module

    assert set(module.__all__) == {
        "CHUNK_SIZE",
        "SPOOL_MAX_SIZE",
        "ExecutorWithBackpressure",
        "PredictionServer",
        "SpooledUploadFile",
    }
    assert (module.SPOOL_MAX_SIZE, module.CHUNK_SIZE) == (10 * 1024 * 1024, 64 * 1024)
    assert all(isinstance(getattr(module, name), type) for name in module.__all__ if name[1].islower())
