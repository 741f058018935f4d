"""Guards: which room may import which, who loads what, who reads the environment, and how long things may get.

Read from the source, without importing it, but for the two questions that only an interpreter answers.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from pathlib import Path

import pytest

import datarobot_drum

ROOT = Path(datarobot_drum.__file__).parent
PACKAGE = "datarobot_drum"

LAYERS = (
    ("__main__",),
    ("main",),
    ("cli", "asgi", "wsgi", "gunicorn", "uvicorn", "werkzeug"),
    ("commands",),
    ("management",),
    ("root_predictors",),
    ("model_loading",),
    ("server",),
    ("flask", "fastapi"),
    ("serving",),
    ("process",),
    ("tracing",),
    ("engine_predictors",),
    ("language_predictors",),
    ("type_schema",),
    ("artifact_predictors",),
    ("tabular",),
    ("settings",),
    ("runtime_parameters",),
    ("exceptions", "imports", "iterators", "version"),
)
"""Rooms from the top to the bottom: a room imports rooms below its own, never one beside or above it."""

SERVER_LIBRARIES = {"flask", "werkzeug", "fastapi", "starlette", "uvicorn", "gunicorn", "gevent"}
MAY_IMPORT_THEM = {
    "flask": {"flask", "werkzeug"},
    "fastapi": {"fastapi", "starlette"},
    "gunicorn": {"gunicorn"},
    "uvicorn": {"uvicorn"},
    "werkzeug": {"werkzeug"},
    "asgi": {"fastapi"},
    "wsgi": {"flask"},
    # For the types alone: never when it runs.
    "server": {"fastapi", "flask"},
    "root_predictors": {"fastapi", "flask"},
}
ONLY_FOR_TYPES = ("server", "root_predictors")

MODULE_LINES, MODULE_LINES_P90, FUNCTION_LINES = 500, 300, 50

LAZY = "pyarrow tqdm pandas numpy scipy sklearn flask werkzeug fastapi starlette uvicorn gunicorn yaml urllib3".split()

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One source file: its dotted name, its room and its syntax tree."""

    name: str
    path: Path

    @property
    def room(self) -> str:
        inner = self.name.split(".")[1:]
        if inner[:1] == ["drum"]:
            inner = inner[1:] or ["drum"]
        return inner[0] if inner else PACKAGE

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
"""Code for other people's folders, which is none of our modules."""

SOURCES = [path for path in sorted(ROOT.rglob("*.py")) if not path.is_relative_to(TEMPLATES)]
MODULES = {_name(path): Module(_name(path), path) for path in SOURCES}

every_module = pytest.mark.parametrize("module", MODULES.values(), ids=list(MODULES))


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


@every_module
def test_every_module_has_its_place_in_the_layers(module: Module) -> None:
    assert module.room in {PACKAGE, "drum", *chain.from_iterable(LAYERS)}


@every_module
def test_imports_between_rooms_point_downwards_only(module: Module) -> None:
    height = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
    above = height.get(module.room, -1)
    others = {other.name for other in _own_imports(module) if other.room != module.room}
    wrong = {name for name in others if height.get(MODULES[name].room, -1) <= above}
    assert not wrong


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {module.name: [other.name for other in _own_imports(module)] for module in MODULES.values()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@every_module
def test_only_the_adapters_import_a_web_framework_or_server(module: Module) -> None:
    allowed = MAY_IMPORT_THEM.get(module.room, set())
    assert _libraries(module.tree) & SERVER_LIBRARIES <= allowed


@pytest.mark.parametrize("room", ONLY_FOR_TYPES)
def test_the_doors_name_a_web_framework_in_their_types_only(room: str) -> None:
    modules = [module for module in MODULES.values() if module.room == room]
    loaded = {library for module in modules for node in _without_type_imports(module) for library in _libraries(node)}
    assert modules and not loaded & SERVER_LIBRARIES


@every_module
def test_only_the_settings_and_the_runtime_parameters_read_the_environment(module: Module) -> None:
    if module.name == "datarobot_drum.drum.settings.build" or module.room == "runtime_parameters":
        return
    touched = [
        node
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
        and node.attr in {"environ", "environb", "getenv", "getenvb"}
    ]
    assert not [node.lineno for node in touched]
    assert not {"os.environ", "os.environb", "os.getenv", "os.getenvb"} & set(_imports(module.tree))


@every_module
def test_no_module_is_long(module: Module) -> None:
    assert len(module.path.read_text(encoding="utf-8").splitlines()) <= MODULE_LINES


def test_nine_modules_of_ten_are_read_in_one_sitting() -> None:
    lengths = sorted(len(module.path.read_text(encoding="utf-8").splitlines()) for module in MODULES.values())
    assert lengths[len(lengths) * 9 // 10] <= MODULE_LINES_P90


@every_module
def test_no_function_is_long(module: Module) -> None:
    long = {function.name: _code_lines(function) for function in _functions(module)}
    assert not {name: lines for name, lines in long.items() if lines > FUNCTION_LINES}


@every_module
def test_no_module_is_named_after_nothing(module: Module) -> None:
    assert not {"utils", "util", "helpers", "common", "misc"} & set(module.name.split("."))


def test_the_command_starts_without_what_only_a_server_needs() -> None:
    loaded = _run("import sys, datarobot_drum.drum.main; print(*sys.modules)").split()
    assert not set(LAZY) & set(loaded)


@pytest.mark.parametrize(
    ("server", "unused"),
    [("flask", "fastapi starlette uvicorn gunicorn"), ("fastapi", "flask werkzeug gunicorn")],
    ids=["flask", "fastapi"],
)
def test_a_server_loads_no_other_web_framework(server: str, unused: str) -> None:
    loaded = _run(f"import sys, datarobot_drum.drum.{server}.app; print(*sys.modules)").split()
    assert not set(unused.split()) & set(loaded)


def test_the_package_exports_what_models_and_callers_need() -> None:
    assert set(datarobot_drum.__all__) == {"RuntimeParameters", "__version__"}
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
