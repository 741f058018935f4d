"""The servers of the comparison: their commands, request formats and baselines.

In commands and environment values these are replaced: ``{python}`` the server's interpreter, ``{bin}`` its folder,
``{port}``, ``{port2}`` and ``{port3}``, ``{apps}`` the folder of the app files, ``{files}`` the folder that
``model.py`` has filled for the environment, ``{workers}`` the number of processes.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from benchmarks.compare import bodies
from benchmarks.compare.bodies import WireFormat

OURS = "drum"
"""The environment of this project: its servers and the bare apps."""

PANDAS, ECHO, FOREST_BASELINE = "pandas", "echo", "drum-fastapi-forest"
"""The baselines; ``FOREST_BASELINE`` predicts the forest without batching."""

PIPELINE, FOREST = "pipeline", "forest"
"""The models, as ``model.py`` names their folders."""

BATCH = 64
"""Maximum rows of a batch, for every server that batches: the number of clients."""

KEEPALIVE = "600"
"""Seconds: thousands of idle connections must stay open, however long they took to open."""

BATCH_WAIT_SECONDS, LONGER_WAIT_SECONDS = 0.01, 0.1
"""The batch wait of peers that require one, both within their documentation's examples. Each uses the better one of
the two; the longer is for MLServer with its own process.
"""

_SHARE = "DRUM_SHARE_MODEL"


@dataclass(frozen=True)
class Server:
    """A server of the comparison.

    Attributes:
        environment: name of the virtual environment that runs it.
        wire_format: None for a server without a model, which echoes bytes.
        model: the model that it serves; None for none.
        variables: additional environment variables.
        prepare: writes further files into ``{files}`` before the first start.
        prepare_command: the same as a command.
        baseline: the server that its figures are divided by.
        batches: whether it batches requests, of one row each.
        uploads: whether the large upload is measured.
        scales: whether it is measured with several workers.
        many_connections: whether it is measured with thousands of idle connections.
    """

    name: str
    command: Sequence[str]
    path: str
    wire_format: WireFormat | None
    model: str | None = PIPELINE
    environment: str = OURS
    variables: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[Path], None] | None = None
    prepare_command: Sequence[str] = ()
    baseline: str = PANDAS
    batches: bool = False
    uploads: bool = False
    scales: bool = False
    many_connections: bool = False

    @property
    def is_peer(self) -> bool:
        return self.environment != OURS

    @property
    def is_drum(self) -> bool:
        return self.name.startswith("drum")

    @property
    def shares_model(self) -> bool:
        """True if its workers share one loaded model, which only affects their memory."""
        return _SHARE in self.variables


@dataclass(frozen=True)
class Peer:
    """A virtual environment: its name and pip requirements."""

    name: str
    requirements: Sequence[str]


COMMON = ("scikit-learn", "pandas", "joblib")
PEERS = {
    peer.name: peer
    for peer in (
        Peer("litserve", ("litserve", *COMMON)),
        Peer("bentoml", ("bentoml", *COMMON)),
        # With later versions its worker processes have no event loop (MLServer 1.7).
        Peer("mlserver", ("mlserver", "mlserver-sklearn", "uvloop<0.22", *COMMON)),
        Peer("rayserve", ("ray[serve]", *COMMON)),
        Peer("mlflow", ("mlflow", *COMMON)),
    )
}


def _uvicorn(app: str) -> tuple[str, ...]:
    options = "--host 127.0.0.1 --port {port} --workers {workers} --log-level warning --no-access-log"
    return "{python}", "-m", "uvicorn", "--app-dir", "{apps}", app, *options.split(), "--timeout-keep-alive", KEEPALIVE


_DRUM = (
    *"{python} -m datarobot_drum server --address 127.0.0.1:{port}".split(),
    *"--logging-level warning --max-workers {workers}".split(),
)
_DRUM_VARIABLES = {
    "DRUM_MAX_UPLOAD_SIZE": "0",
    "DRUM_FASTAPI_KEEPALIVE": KEEPALIVE,
    "DRUM_LAME_DUCK_SECONDS": "0",
}


def _drum(name: str, kind: str, model: str = PIPELINE, batch: int = 0) -> Server:
    options = "--target-type binary --positive-class-label malignant --negative-class-label benign"
    return Server(
        name,
        (*_DRUM, "--code-dir", f"{{files}}/{model}/frame", *options.split()),
        "/predict/",
        bodies.DRUM,
        model,
        variables={"DRUM_SERVER_TYPE": kind, "DRUM_FASTAPI_MAX_BATCH_SIZE": str(batch), **_DRUM_VARIABLES},
        baseline=_BASELINES[model],
        batches=batch > 0,
        uploads=model == PIPELINE,
        scales=kind != "flask" and not batch,
        many_connections=kind == "fastapi" and model == PIPELINE,
    )


_BASELINES = {PIPELINE: PANDAS, FOREST: FOREST_BASELINE}


def _write_mlserver_settings(name: str, model: str, batching: Mapping[str, float], folder: Path) -> None:
    """Write the model settings of MLServer: runtime, path of the estimator, and batch size."""
    settings = {
        "name": "model",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": str(folder / model / "array" / "model.joblib"), "version": "1"},
        **batching,
    }
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "model-settings.json").write_text(json.dumps(settings))


def _mlserver(name: str, processes: int, model: str = PIPELINE, batching: Mapping[str, float] | None = None) -> Server:
    return Server(
        name,
        ("{bin}/mlserver", "start", f"{{files}}/{name}"),
        "/v2/models/model/infer",
        bodies.OPEN_INFERENCE,
        model,
        environment="mlserver",
        variables={
            "MLSERVER_DEBUG": "false",
            "MLSERVER_HOST": "127.0.0.1",
            "MLSERVER_HTTP_PORT": "{port}",
            "MLSERVER_GRPC_PORT": "{port2}",
            "MLSERVER_METRICS_PORT": "{port3}",
            "MLSERVER_PARALLEL_WORKERS": str(processes),
            "MLSERVER_METRICS_DIR": f"{{files}}/{name}",
            "MLSERVER_ENVIRONMENTS_DIR": f"{{files}}/{name}",
        },
        prepare=partial(_write_mlserver_settings, name, model, batching or {}),
        baseline=_BASELINES[model],
        batches=bool(batching),
    )


def _peers(suffix: str, model: str, service: str, batching: Mapping[str, str]) -> tuple[Server, ...]:
    """Return LitServe, BentoML and Ray Serve, whose apps read model and batching from variables."""
    variables = {"MODEL": f"{{files}}/{model}/array/model.joblib", **batching}

    def line(name: str, words: str, path: str, wire_format: WireFormat, further: Mapping[str, str]) -> Server:
        return Server(
            f"{name}{suffix}",
            words.split(),
            path,
            wire_format,
            model,
            name,
            {**variables, **further},
            baseline=_BASELINES[model],
            batches=bool(batching),
        )

    bento = f"{{bin}}/bentoml serve bentoml_app:{service} --working-dir {{apps}} --host 127.0.0.1 --port {{port}} -q"
    return (
        line("litserve", "{python} {apps}/litserve_app.py {port}", "/predict", bodies.NAMED_ROWS, {}),
        line(
            "bentoml",
            bento,
            "/predict",
            bodies.PLAIN_ROWS,
            {"BENTOML_HOME": "{files}/bentoml", "BENTOML_DO_NOT_TRACK": "True"},
        ),
        line(
            "rayserve",
            "{python} {apps}/ray_serve_app.py {port}",
            "/",
            bodies.NAMED_ROWS,
            {"RAY_USAGE_STATS_ENABLED": "0"},
        ),
    )


def _batching(wait: float) -> Mapping[str, float]:
    return {"max_batch_size": BATCH, "max_batch_time": wait}


SERVERS = {
    server.name: server
    for server in (
        Server(ECHO, _uvicorn("echo_app:app"), "/echo", None, None, baseline=ECHO),
        Server(
            PANDAS,
            _uvicorn("pandas_app:app"),
            "/predict",
            bodies.TABLE,
            variables={"MODEL": "{files}/pipeline/frame/model.pkl"},
            uploads=True,
            scales=True,
            many_connections=True,
        ),
        _drum("drum-fastapi", "fastapi"),
        _drum("drum-gunicorn", "gunicorn"),
        _drum("drum-flask", "flask"),
        Server(
            "drum-no-op",
            (*_DRUM, "--code-dir", "{apps}/no_op", "--target-type", "unstructured"),
            "/predictUnstructured/",
            None,
            None,
            variables={"DRUM_SERVER_TYPE": "fastapi", **_DRUM_VARIABLES},
            baseline=ECHO,
        ),
        *_peers("", PIPELINE, "Classifier", {}),
        _mlserver("mlserver", 1),
        _mlserver("mlserver-in-process", 0),
        Server(
            "mlflow",
            (
                *("{bin}/mlflow models serve --model-uri {files}/mlflow --env-manager local --workers 1".split()),
                *("--host 127.0.0.1 --port {port}".split()),
            ),
            "/invocations",
            bodies.MLFLOW,
            environment="mlflow",
            variables={"MLFLOW_DISABLE_TELEMETRY": "true"},
            prepare_command=(
                "{python}",
                "{apps}/mlflow_model.py",
                "{files}/pipeline/frame/model.pkl",
                "{files}/mlflow",
            ),
        ),
        _drum(FOREST_BASELINE, "fastapi", FOREST),
        _drum("drum-fastapi-batched", "fastapi", FOREST, BATCH),
        *_peers(
            "-batched",
            FOREST,
            "BatchedClassifier",
            {"BATCH": str(BATCH), "BATCH_WAIT_SECONDS": str(BATCH_WAIT_SECONDS)},
        ),
        _mlserver("mlserver-batched", 1, FOREST, _batching(LONGER_WAIT_SECONDS)),
        _mlserver("mlserver-in-process-batched", 0, FOREST, _batching(BATCH_WAIT_SECONDS)),
    )
}


def _shared(server: Server) -> Server:
    name, variables = f"{server.name}-shared", {**server.variables, _SHARE: "1"}
    return replace(server, name=name, variables=variables, uploads=False)


for _name in ("drum-fastapi", "drum-gunicorn"):
    SERVERS[f"{_name}-shared"] = _shared(SERVERS[_name])
