"""Hints for artifacts that could not be loaded."""

import importlib.util
import pickle
import re
import sys
from importlib.metadata import packages_distributions, version
from pathlib import Path

from datarobot_drum.drum.artifact_predictors.frameworks import install_hint
from datarobot_drum.drum.artifact_predictors.requirements_file import missing_module_hint
from datarobot_drum.drum.artifact_predictors.versions import find_writers, installed_version

_MOVED_NAME = re.compile(
    r"Can't get attribute .* on <?module '([\w.]+)'"
    r"|module '([\w.]+)' has no attribute"
    r"|cannot import name .* from '([\w.]+)'"
)
"""Messages of the interpreter for a name that a module does not have."""

_MODULE_FILE = re.compile(r"<(module '[\w.]+')[^>]*>| \([^()]*\.(?:py|so|pyd)\)")
"""Files of modules in messages of the interpreter."""

_OTHER_PYTHON = re.compile(r"unsupported pickle protocol|bad marshal data|code\(\) argument|code expected at least")
_ONNX_IR = re.compile(r"Unsupported model IR version: (\d+), max supported IR version: (\d+)")
_ONNX_OPSET = re.compile(r"Opset (\d+) is under development.*official support for domain (\S+) is till opset (\d+)")
_NATIVE_LOCATION = re.compile(r"\s*(Objective candidate|Stack trace):.*|^(\[[\d:]+\] )?\S+:\d+: ", re.DOTALL)
"""Source file, stack trace and other lists in the messages of native libraries."""


def describe_load_error(error: BaseException, path: Path) -> str:
    """Return the predicate of the sentence whose subject is the name of an artifact that could not be loaded."""
    if too_new := _describe_newer_onnx(str(error)):
        return too_new
    if isinstance(error, ModuleNotFoundError):
        module = error.name or str(error)
        hint = _version_hint(path) if lacking_library(module) else ""
        return f"could not be loaded: {describe_missing_module(module, path if path.is_dir() else path.parent)}{hint}"
    message = _MODULE_FILE.sub(r"\1", _NATIVE_LOCATION.sub("", str(error))).replace(str(path), path.name)
    text = " ".join(f"{type(error).__name__}: {message}".split()).rstrip(".:")
    return f"could not be loaded: {text}.{_hint(error, path)}"


def describe_missing_module(module: str, folder: Path) -> str:
    """Return sentences about a module that could not be imported, the first one after a colon."""
    library = lacking_library(module)
    if library is not None:
        return f"it needs the module {module}, which {library} does not have: another version of it is needed."
    hint = install_hint(module)
    missing = f"it needs the module {module}"
    described = f"{missing}; {hint}" if "[" in hint else f"{missing}, which is not installed"
    return f"{described}.{missing_module_hint(module, folder)}"


def lacking_library(module: str) -> str | None:
    """Return name and version of the installed library that lacks a submodule; None if the module may be installed."""
    root = module.partition(".")[0]
    return None if root == module or _is_importable(module) else _installed_library(root)


def describe_moved_name(error: BaseException) -> str:
    """Return a sentence that starts with a blank if an installed library lacks a name; else an empty text."""
    found = _MOVED_NAME.search(str(error)) if isinstance(error, AttributeError | ImportError) else None
    if found is None:
        return ""
    root = (found[1] or found[2] or found[3]).partition(".")[0]
    library = _installed_library(root)
    return f" {library} has no such name: the model probably needs another version of it." if library else ""


def _hint(error: BaseException, path: Path) -> str:
    """Return sentences that start with a blank, or an empty text."""
    if isinstance(error, AttributeError) and "__main__" in str(error):
        return " Its class was defined in a script: move it to custom.py or a module beside it, and pickle again."
    if _OTHER_PYTHON.search(str(error)):
        return f" It was probably pickled by another Python; this is {sys.version.partition(' ')[0]}."
    if "BitGenerator" in str(error):
        return f" It was pickled by another version of NumPy than {installed_version('numpy')}, which is installed."
    if hint := describe_moved_name(error) + _version_hint(path):
        return hint
    if type(error).__name__ == "XGBoostError" and "serialization" in str(error):
        return " It was pickled by another version of XGBoost: load it there and save it with save_model."
    if isinstance(error, pickle.UnpicklingError | EOFError):
        return " The file is damaged, or of another kind than its name says: save the model again."
    return ""


def _version_hint(path: Path) -> str:
    """Return a sentence about the libraries of which other versions than the installed ones wrote the file."""
    others = [writer for writer in find_writers(path) if writer.is_other]
    if not others:
        return ""
    made = " and ".join(f"{writer.library} {writer.version}" for writer in others)
    installed = " and ".join(writer.installed for writer in others)
    verb = "is" if len(others) == 1 else "are"
    save = ", or load it there and save it with save_model" if "XGBoost" in made else ""
    return (
        f" It was made with {made}, and {installed} {verb} installed: install that version{save}, or train the model "
        "with this one."
    )


def _describe_newer_onnx(message: str) -> str | None:
    installed = f"onnxruntime {installed_version('onnxruntime')}"
    if found := _ONNX_IR.search(message):
        what, known = f"IR version {found[1]}", f"IR version {found[2]}"
    elif found := _ONNX_OPSET.search(message):
        what, known = f"opset {found[1]} of {found[2]}", f"opset {found[3]}"
    else:
        return None
    return (
        f"needs {what}, and the installed {installed} reads up to {known}: install a newer onnxruntime, or export the "
        "model for that version."
    )


def _is_importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except Exception:  # it imports the parent package, which may run any code
        return False


def _installed_library(root: str) -> str | None:
    """Return name and version of the package that installed a top-level module; None for modules of the model."""
    packages = packages_distributions().get(root, ())
    return next((f"{name} {version(name)}" for name in packages if _is_importable(root)), None)
