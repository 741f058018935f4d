"""Functions of ``custom.py`` that are no hooks and whose names are nearly those of hooks."""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from datarobot_drum.drum.language_predictors.hooks import FIT_HOOKS, HOOKS

_LIKENESS = 0.85
_HOOK_NAMES = tuple(spec.name for spec in (*HOOKS, *FIT_HOOKS))


def misspelt_hooks(names: Iterable[str]) -> Iterator[str]:
    """Yield a sentence for each function name that is nearly the name of a hook which is not defined."""
    defined = set(names)
    missing = [name for name in _HOOK_NAMES if name not in defined]
    for name in sorted(defined.difference(_HOOK_NAMES)):
        close = get_close_matches(name.lower(), missing, 1, _LIKENESS)
        if close and not name.startswith("_"):
            yield f"custom.py defines {name}, which is no hook and is not called (did you mean {close[0]}?)"
