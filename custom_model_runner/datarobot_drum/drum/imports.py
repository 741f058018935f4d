"""Import strings: how an adapter or predictor is named without being imported."""

from importlib import import_module
from typing import Any


def import_from_string(target: str) -> Any:
    """The attribute that ``"package.module:attribute"`` names.

    Raises:
        ValueError: the text is not of that form.
        ImportError, AttributeError: there is no such thing.
    """
    module, separator, attribute = target.partition(":")
    if not separator or not module or not attribute:
        raise ValueError(f"An import string looks like 'package.module:attribute', not {target!r}.")
    found = import_module(module)
    for name in attribute.split("."):
        found = getattr(found, name)
    return found
