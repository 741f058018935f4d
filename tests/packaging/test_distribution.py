"""The metadata of the installed distribution."""

import re
from importlib.metadata import distribution

from datarobot_drum import __version__
from tests.cases import each_case

INSTALLED = distribution("datarobot-drum")
REQUIREMENTS = INSTALLED.requires or []


def test_every_requirement_has_a_range_with_two_ends() -> None:
    assert REQUIREMENTS
    assert [name for name in REQUIREMENTS if not (re.search(r">=\d", name) and re.search(r"<\d", name))] == []


FRAMEWORKS = {"scikit-learn", "xgboost", "lightgbm", "catboost", "onnx", "skops", "torch", "keras"} | {
    *("transformers", "sentence-transformers", "spacy", "statsmodels", "tensorflow", "mlflow")
}


@each_case("name", ["scikit-learn", "scipy", "joblib", "gevent", "torch", "xgboost", "onnxruntime", "pyarrow"])
def test_core_requirements_exclude_extras(name: str) -> None:
    core = [requirement for requirement in REQUIREMENTS if "extra ==" not in requirement]
    assert not [requirement for requirement in core if re.match(rf"{name}\b", requirement, re.IGNORECASE)]


def test_extras_match_the_error_messages() -> None:
    extras = {
        *FRAMEWORKS,
        "arrow",
        "gevent",
        "docs",
        "otel",
        "scan",
        "grpc",
        "compile",
        "compile-onnx",
        "metrics",
        "test",
        "dev",
    }
    assert set(INSTALLED.metadata.get_all("Provides-Extra", [])) == extras | {
        "ray",
        "reload",
        "terminal",
        "deploy",
        "docs-site",
        "test",
        "dev",
    }


def test_distribution_version_matches_the_package() -> None:
    assert INSTALLED.version == __version__


def test_drum_is_an_entry_point() -> None:
    (command,) = INSTALLED.entry_points.select(group="console_scripts")
    assert (command.name, command.value) == ("drum", "datarobot_drum.drum.main:main")
