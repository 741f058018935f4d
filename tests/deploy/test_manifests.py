"""The plain manifests in ``deploy/kubernetes``: what they set exists, and containers have no rights."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from datarobot_drum.drum.settings.arguments import variable_names
from datarobot_drum.drum.settings.server_parameters import SERVER_PARAMETER_NAMES
from tests.cases import each_case

FILES = sorted((Path(__file__).parents[2] / "deploy" / "kubernetes").glob("*.yaml"))

each_manifest = each_case("file", FILES, ids=lambda file: file.name)


def _specs(file: Path) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Yield each pod's specification with each of its containers of the server."""
    for found in yaml.safe_load_all(file.read_text(encoding="utf-8")):
        spec = found.get("spec", {})
        spec = spec.get("template", {}).get("spec", spec)
        yield from ((spec, container) for container in spec.get("containers", []))


def test_there_are_manifests() -> None:
    assert {"drum.yaml", "kserve.yaml"} <= {file.name for file in FILES}


@each_manifest
def test_every_parameter_set_is_one_of_the_server(file: Path) -> None:
    specs = list(_specs(file))
    assert specs
    for _, container in specs:
        assert {entry["name"] for entry in container["env"]} - SERVER_PARAMETER_NAMES - variable_names() == set()


@each_manifest
def test_servers_have_no_rights(file: Path) -> None:
    for spec, container in _specs(file):
        context = {**spec.get("securityContext", {}), **container["securityContext"]}
        assert context["runAsNonRoot"] and context["readOnlyRootFilesystem"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
