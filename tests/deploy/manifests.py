"""The objects that the chart renders to, and the parts of them that tests look at."""

from collections.abc import Mapping
from typing import Any

import yaml

from deploy.kubernetes.render import render

Manifest = Mapping[str, Any]


def objects(values: Mapping[str, Any] | None = None) -> list[Manifest]:
    """Return the objects of the chart for these values."""
    return [found for found in yaml.safe_load_all(render(dict(values or {}))) if found]


def the(kind: str, values: Mapping[str, Any] | None = None) -> Manifest:
    """Return the only object of a kind."""
    (found,) = [found for found in objects(values) if found["kind"] == kind]
    return found


def pod(values: Mapping[str, Any] | None = None) -> Manifest:
    """Return the pod of the Deployment."""
    return dict(the("Deployment", values)["spec"]["template"]["spec"])


def container(values: Mapping[str, Any] | None = None) -> Manifest:
    """Return the only container of the pod."""
    (found,) = pod(values)["containers"]
    return dict(found)


def environment(container: Manifest) -> dict[str, str]:
    """Return the variables that a container sets; those from a Secret with its name."""
    return {entry["name"]: entry.get("value", "from a Secret") for entry in container["env"]}
