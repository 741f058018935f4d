"""Import strings, which name an adapter or predictor without importing it."""

from importlib import import_module
from typing import Any


def import_from_string(target: str) -> Any:
    """Import the attribute that ``"package.module:attribute"`` names.

    Raises:
        ValueError: ``target`` has another format.
        ImportError, AttributeError: the module or attribute does not exist.
    """
    module, separator, attribute = target.partition(":")
    if not separator or not module or not attribute:
        raise ValueError(f"An import string looks like 'package.module:attribute', not {target!r}.")
    found = import_module(module)
    for name in attribute.split("."):
        found = getattr(found, name)
    return found
