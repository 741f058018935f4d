"""The server on Ray Serve: replicas on the machines of a Ray cluster, behind Ray's HTTP proxy.

``serve run datarobot_drum.ray:app`` takes everything from variables, ``serve run datarobot_drum.ray:builder
code_dir=model target_type=regression`` from arguments. ``build_app`` is for Python. Needs the extra ``ray``.
"""

from typing import TYPE_CHECKING, Any

try:
    from datarobot_drum.ray.application import build_app, builder
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "ray":
        raise
    raise ModuleNotFoundError("Ray Serve is not installed: install datarobot-drum[ray].", name=error.name) from error

if TYPE_CHECKING:
    app: Any

__all__ = ["app", "build_app", "builder"]


def __getattr__(name: str) -> Any:
    """Return the application of this environment as ``app``; a plain import builds none."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return build_app()
