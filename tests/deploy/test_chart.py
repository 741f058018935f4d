"""The Helm chart, rendered by Helm's own engine: its objects agree with each other and with the server."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cases import each_case

pytest.importorskip("helm_python", reason="needs the extra deploy: make test ALL=1 installs it")

import helm_python
import kubernetes_validate

from datarobot_drum.drum.settings.arguments import variable_names
from datarobot_drum.drum.settings.server_parameters import SERVER_PARAMETER_NAMES
from deploy.kubernetes.render import CHART, FOLDER, MANIFESTS, render
from tests.deploy.manifests import container, environment, objects, pod, the

EVERYTHING: dict[str, Any] = {
    "model": {
        "source": "initContainer",
        "targetType": "regression",
        "initContainer": {
            "image": "store-client:1",
            "command": ["copy", "s3://models/mine", "/opt/model"],
            "envFrom": [{"secretRef": {"name": "store"}}],
        },
    },
    "image": {"digest": "sha256:" + "0" * 64},
    "imagePullSecrets": [{"name": "registry"}],
    "server": {
        "parameters": {"DRUM_MAX_UPLOAD_SIZE": "20MB", "DRUM_MAX_ROWS": 10000000, "DRUM_STRICT_TYPE_SCHEMA": False}
    },
    "secrets": {"files": "hook-secrets", "apiKeys": {"name": "clients"}, "tls": "certificate"},
    "env": [{"name": "LLM_ID", "value": "mine"}],
    "envFrom": [{"secretRef": {"name": "more"}}],
    "autoscaling": {"metric": "keda"},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "networkPolicy": {
        "from": [{"podSelector": {}}],
        "egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"port": 443}]}],
    },
    "podAnnotations": {"a": "b"},
    "podLabels": {"team": "mine"},
    "service": {"annotations": {"a": "b"}},
    "serviceAccount": {"annotations": {"a": "b"}},
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "gpu", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "priorityClassName": "high",
    "kserve": {"enabled": True, "disableDeployment": False},
}
VARIANTS: dict[str, dict[str, Any]] = {
    **MANIFESTS,
    "everything": EVERYTHING,
    "gunicorn": {"server": {"type": "gunicorn", "workers": 3}, "autoscaling": {"enabled": False}},
    "flask": {"server": {"type": "flask"}, "podDisruptionBudget": {"enabled": False}},
}
CUSTOM_RESOURCES = {"ScaledObject", "ServiceMonitor", "ServingRuntime"}
"""Kinds that Kubernetes has no schema of: those of KEDA, the Prometheus operator and KServe."""

OLDEST, NEWEST = "1.25", "1.37"
"""Versions of Kubernetes: the oldest is that of ``kubeVersion`` in ``Chart.yaml``."""

each_variant = pytest.mark.parametrize("values", VARIANTS.values(), ids=VARIANTS)


@each_variant
def test_helm_lint_finds_nothing_but_the_missing_icon(values: dict[str, Any]) -> None:
    found = helm_python.lint(CHART, values, strict=True)
    assert found["errors"] == []
    assert [message["error"] for message in found["messages"]] == ["icon is recommended"]


@each_case("name", MANIFESTS)
def test_plain_manifests_are_those_of_the_chart(name: str) -> None:
    text = (FOLDER / name).read_text(encoding="utf-8")
    assert text.partition("\n")[2] == render(MANIFESTS[name]), "run make manifests"


def test_there_are_no_other_plain_manifests() -> None:
    assert {file.name for file in FOLDER.glob("*.yaml")} == set(MANIFESTS)


@each_case(
    ("name", "version"), [*((name, NEWEST) for name in VARIANTS), ("everything", OLDEST), ("metrics.yaml", OLDEST)]
)
def test_objects_match_the_schemas_of_kubernetes(name: str, version: str) -> None:
    for found in objects(VARIANTS[name]):
        if found["kind"] not in CUSTOM_RESOURCES:
            kubernetes_validate.validate(found, version, strict=True)


@each_variant
def test_every_parameter_that_the_chart_sets_is_one_of_the_server(values: dict[str, Any]) -> None:
    known = SERVER_PARAMETER_NAMES | variable_names()
    containers = [c for found in objects(values) for c in _containers(found) if c["name"] != "model"]
    assert containers
    assert {name for c in containers for name in environment(c)} - known == set()


def _containers(found: Any) -> list[Any]:
    spec = found["spec"] if "spec" in found else {}
    return list(spec.get("containers") or spec.get("template", {}).get("spec", {}).get("containers", []))


@pytest.mark.parametrize("server_type", ["fastapi", "flask", "gunicorn"])
def test_grace_period_covers_lame_duck_and_requests_in_flight(server_type: str) -> None:
    values = {"server": {"type": server_type, "gracefulTimeout": 120, "lameDuck": 15}}
    variables = environment(container(values))
    assert (variables["DRUM_GRACEFUL_TIMEOUT"], variables["DRUM_LAME_DUCK_SECONDS"]) == ("120", "15")
    assert pod(values)["terminationGracePeriodSeconds"] == 120 + 15 + 10
    # The server has a lame duck itself, or the kubelet waits before SIGTERM.
    assert container(values).get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command") == (
        ["sleep", "15"] if server_type == "gunicorn" else None
    )


def test_probes_ask_the_management_port() -> None:
    values = {"server": {"managementPort": 9000, "port": 9001}, "startupTimeout": 61}
    found = container(values)
    ports = {port["name"]: port["containerPort"] for port in found["ports"]}
    assert ports == {"http": 9001, "management": 9000}
    variables = environment(found)
    assert (variables["DRUM_MANAGEMENT_PORT"], variables["ADDRESS"]) == ("9000", "0.0.0.0:9001")
    probes = {name: found[f"{name}Probe"] for name in ("startup", "readiness", "liveness")}
    paths = {name: (probe["httpGet"]["path"], probe["httpGet"]["port"]) for name, probe in probes.items()}
    assert paths == {
        "startup": ("/readyz", "management"),
        "readiness": ("/readyz", "management"),
        "liveness": ("/livez", "management"),
    }
    assert probes["startup"]["periodSeconds"] * probes["startup"]["failureThreshold"] >= 61


def test_resources_grow_with_the_workers() -> None:
    resources = container({"server": {"workers": 3}})["resources"]
    assert resources["limits"] == resources["requests"] == {"cpu": "3000m", "memory": "3072Mi"}
    override = {"requests": {"cpu": 1}, "limits": {"memory": "2Gi"}}
    assert container({"resources": {"override": override}})["resources"] == override


def test_threads_are_set_only_for_the_server_that_has_them() -> None:
    assert environment(container({"server": {"threads": 7}}))["DRUM_EXECUTOR_WORKERS"] == "7"
    assert "DRUM_EXECUTOR_WORKERS" not in environment(container({"server": {"type": "gunicorn", "threads": 7}}))


@each_variant
def test_containers_have_no_rights(values: dict[str, Any]) -> None:
    for found in objects(values):
        template = found.get("spec", {}).get("template", {}).get("spec")
        for each in [*_containers(found), *((template or {}).get("initContainers", []))]:
            context = {**((template or {}).get("securityContext", {})), **each["securityContext"]}
            assert context["runAsNonRoot"] and context["seccompProfile"] == {"type": "RuntimeDefault"}
            assert context["readOnlyRootFilesystem"] and context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert {"name": "tmp", "mountPath": "/tmp"} in each["volumeMounts"]


@each_case(
    ("values", "message"),
    [
        ({"server": {"treads": 2}}, "treads"),
        ({"server": {"type": "tornado"}}, "server/type"),
        ({"server": {"workers": 0}}, "minimum"),
        ({"server": {"parameters": {"DRUM_GRACEFUL_TIMEOUT": 5}}}, "set by another value"),
        ({"model": {"source": "initContainer"}}, "initContainer.image is missing"),
        ({"model": {"source": "persistentVolumeClaim"}}, "claimName is missing"),
    ],
)
def test_wrong_values_are_rejected(values: dict[str, Any], message: str) -> None:
    with pytest.raises(helm_python.HelmError, match=re.escape(message)):
        render(values)


def test_numbers_keep_their_digits() -> None:
    variables = environment(container(EVERYTHING))
    assert (variables["DRUM_MAX_ROWS"], variables["DRUM_STRICT_TYPE_SCHEMA"]) == ("10000000", "false")


@each_case("source", ["image", "persistentVolumeClaim", "initContainer"])
def test_model_is_mounted_read_only_where_the_server_looks_for_it(source: str) -> None:
    model = {
        "source": source,
        "path": "/models/mine",
        "persistentVolumeClaim": {"claimName": "models", "subPath": "v1"},
        "initContainer": {"image": "store", "command": ["copy"]},
    }
    found = pod({"model": model})
    (server,) = found["containers"]
    assert environment(server)["CODE_DIR"] == "/models/mine"
    mounts = [mount for mount in server["volumeMounts"] if mount["name"] == "model"]
    assert [(mount["mountPath"], mount["readOnly"]) for mount in mounts] == [("/models/mine", True)] * (
        source != "image"
    )
    assert len(found.get("initContainers", [])) == (source == "initContainer")


def test_secrets_are_files_or_references() -> None:
    found = pod(EVERYTHING)
    (server,) = found["containers"]
    variables = environment(server)
    assert variables["DRUM_API_KEYS_FILE"] == "/etc/drum/api-keys/keys"
    assert (variables["DRUM_TLS_CERT"], variables["DRUM_TLS_KEY"]) == ("/etc/drum/tls/tls.crt", "/etc/drum/tls/tls.key")
    secrets = {volume["name"]: volume["secret"] for volume in found["volumes"] if "secret" in volume}
    names = {"secrets": "hook-secrets", "api-keys": "clients", "tls": "certificate"}
    assert secrets == {name: {"secretName": secret, "defaultMode": 0o440} for name, secret in names.items()}
    mounts = {mount["name"]: mount["mountPath"] for mount in server["volumeMounts"]}
    assert {mounts[name] for name in names} == {"/etc/drum/secrets", "/etc/drum/api-keys", "/etc/drum/tls"}


def test_autoscaler_decides_the_replicas() -> None:
    assert "replicas" not in the("Deployment")["spec"]
    fixed = {"autoscaling": {"enabled": False}, "replicas": 5}
    assert the("Deployment", fixed)["spec"]["replicas"] == 5
    assert "HorizontalPodAutoscaler" not in {found["kind"] for found in objects(fixed)}


def test_selectors_match_the_pods() -> None:
    found = objects({"serviceMonitor": {"enabled": True}})
    labels = the("Deployment")["spec"]["template"]["metadata"]["labels"]
    for each in found:
        spec = each.get("spec", {})
        if each["kind"] == "Service":
            assert spec["selector"].items() <= labels.items()
        if each["kind"] in ("Deployment", "PodDisruptionBudget"):
            assert spec["selector"]["matchLabels"].items() <= labels.items()
        if each["kind"] == "NetworkPolicy":
            assert spec["podSelector"]["matchLabels"].items() <= labels.items()
    (monitor,) = [each for each in found if each["kind"] == "ServiceMonitor"]
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    services = [
        each["metadata"]["name"]
        for each in found
        if each["kind"] == "Service" and wanted <= each["metadata"]["labels"].items()
    ]
    assert services == ["drum-management"]


def test_values_are_described_by_the_schema() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    with helm_python.Chart.load(CHART) as chart:
        assert set((chart.schema or {})["properties"]) == set(values) | {"global"}


def test_documented_values_exist() -> None:
    page = Path(__file__).parents[2] / "docs" / "operate" / "kubernetes.md"
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    for name in re.findall(r"^\| `([a-zA-Z.]+)`", page.read_text(encoding="utf-8"), flags=re.MULTILINE):
        found: Any = values
        for part in name.split("."):
            assert part in found, f"{name} is no value of the chart"
            found = found[part]
