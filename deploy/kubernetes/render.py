"""Renders the Helm chart to the plain manifests of this folder: ``make manifests``."""

from pathlib import Path
from typing import Any

import helm_python

FOLDER = Path(__file__).parent
CHART = FOLDER.parent / "helm" / "drum"

MANIFESTS: dict[str, dict[str, Any]] = {
    "drum.yaml": {},
    "metrics.yaml": {"autoscaling": {"metric": "queueDepth"}, "serviceMonitor": {"enabled": True}},
    "keda.yaml": {"autoscaling": {"metric": "keda"}, "serviceMonitor": {"enabled": True}},
    "model-on-volume.yaml": {
        "model": {
            "source": "persistentVolumeClaim",
            "persistentVolumeClaim": {"claimName": "models", "subPath": "mine"},
        }
    },
    "kserve.yaml": {"kserve": {"enabled": True}},
}
"""The values of each manifest, beside the defaults of the chart."""


def render(values: dict[str, Any]) -> str:
    """Return the manifest for these values, as ``helm template drum deploy/helm/drum`` prints it."""
    with helm_python.Chart.load(CHART) as chart:
        chart.validate_schema(values)
        rendered = chart.render(values, name="drum", namespace="default", is_install=True)
    texts = (text.strip() for name, text in sorted(rendered.items()) if name.endswith(".yaml"))
    return "".join(f"---\n{text}\n" for text in texts if text)


def main() -> None:
    for name, values in MANIFESTS.items():
        text = f"# Made from deploy/helm/drum by: make manifests\n{render(values)}"
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
