"""``drum new model``: from arguments to files."""

import json
import shlex
from pathlib import Path
from string import Template

from datarobot_drum.drum.exceptions import CommandError, UsageError
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.settings.server_parameters import SERVER_PARAMETERS
from datarobot_drum.drum.settings.target_types import TargetType

_TEMPLATES = Path(__file__).with_name("templates")
_COMMON_LAYER = "all"
_LAYERS = {
    TargetType.REGRESSION: ("rows", "numbers"),
    TargetType.BINARY: ("rows", "numbers"),
    TargetType.MULTICLASS: ("rows", "numbers"),
    TargetType.MULTILABEL: ("rows", "numbers"),
    TargetType.ANOMALY: ("rows", "numbers"),
    TargetType.TRANSFORM: ("numbers",),
    TargetType.UNSTRUCTURED: (),
    TargetType.GEO_POINT: ("rows",),
    TargetType.TEXT_GENERATION: ("rows", "text", "chat"),
    TargetType.AGENTIC_WORKFLOW: ("rows", "text", "chat"),
    TargetType.VECTOR_DATABASE: ("rows", "text"),
}
_SKIPPED = "__pycache__"

SUCCESS = 0


def write_model(arguments: Arguments) -> int:
    """Write the folder and print what it contains.

    Raises:
        UsageError: the folder is missing.
        CommandError: a file exists already, cannot be written, or the language has no template.
    """
    if not arguments.code_dir:
        raise UsageError("The folder is missing: give it as an argument, such as drum new model my-model/.")
    if arguments.language not in (None, "python"):
        raise CommandError(f"There is a template for python only, not for {arguments.language}.")
    target_type = TargetType(arguments.target_type or TargetType.REGRESSION.value)
    folder = Path(arguments.code_dir)
    contents = render(target_type, _server_type(arguments), folder.absolute().name)
    _write(folder, contents)
    print(
        "\n".join(
            [f"Wrote a model of target type {target_type.value} to {folder}:", *(f"  {path}" for path in contents)]
        )
    )
    print(f"README.md explains how to serve, score and test it. Serve it: {_serve_command(folder)}")
    return SUCCESS


def _serve_command(folder: Path) -> str:
    return (
        f"drum server {shlex.quote(str(folder))} --runtime-params-file {shlex.quote(str(folder / 'parameters.yaml'))}"
    )


def _server_type(arguments: Arguments) -> str:
    chosen = arguments.server or "fastapi"
    return SERVER_PARAMETERS["server_type"].choice_aliases.get(chosen, chosen)


def render(target_type: TargetType, server_type: str, name: str) -> dict[Path, str]:
    """Return the text of every file by its path in the folder; later layers override earlier ones."""
    folders = [_TEMPLATES / layer for layer in (_COMMON_LAYER, *_LAYERS[target_type], target_type.value)]
    found = {file.relative_to(folder): file for folder in folders for file in folder.rglob("*") if _is_template(file)}
    values = _template_values(target_type, server_type, name)
    return {path: Template(found[path].read_text(encoding="utf-8")).substitute(values) for path in sorted(found)}


def _is_template(file: Path) -> bool:
    return file.is_file() and _SKIPPED not in file.parts


def _template_values(target_type: TargetType, server_type: str, name: str) -> dict[str, str]:
    """Return the values that are substituted in templates."""
    is_text = target_type is TargetType.UNSTRUCTURED
    routes = {TargetType.UNSTRUCTURED: "/predictUnstructured/", TargetType.TRANSFORM: "/transform/"}
    is_fastapi = server_type == "fastapi"
    return {
        "name": json.dumps(name, ensure_ascii=False),  # JSON text is valid YAML, whatever the folder's name
        "target_type": target_type.value,
        "server_type": server_type,
        "sample": "sample.txt" if is_text else "sample.csv",
        "content_type": "text/plain" if is_text else "text/csv",
        "route": routes.get(target_type, "/predict/"),
        "extension": "`custom_fastapi.py`" if is_fastapi else "`custom_flask.py`",
        "servers": "fastapi" if is_fastapi else "flask and gunicorn",
    }


def _write(folder: Path, contents: dict[Path, str]) -> None:
    """Write all files, or none if one of them exists already."""
    present = [str(path) for path in contents if (folder / path).exists() or (folder / path).is_symlink()]
    if present:
        raise CommandError(f"{folder} holds {', '.join(present)} already, and nothing is overwritten.")
    try:
        for path, text in contents.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            with (folder / path).open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise CommandError(f"{folder} cannot be written to: {error.strerror}.") from error
