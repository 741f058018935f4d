"""The servers of the comparison, as a table: what is started, how it is asked, what it is held against.

In the words of a command and the values of its environment these are replaced: ``{python}`` the server's interpreter,
``{bin}`` the folder of that, ``{port}``, ``{port2}`` and ``{port3}``, ``{apps}`` the folder of the app files,
``{files}`` the folder that ``model.py`` has filled for the environment, ``{workers}`` the number of processes.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.compare import bodies
from benchmarks.compare.bodies import Dialect

OURS = "drum"
"""The environment that runs this: its servers are the project's own, and the bare apps."""

PANDAS, ECHO = "pandas", "echo"

_SHARE = "DRUM_SHARE_MODEL"


@dataclass(frozen=True)
class Server:
    """One line of the table.

    Attributes:
        environment: name of the virtual environment that runs it.
        dialect: None for a server without a model, which is sent and answers the same bytes.
        variables: on top of the machine's environment.
        prepare: what writes further files into ``{files}`` before the first start.
        prepare_command: the same as a command.
        baseline: the server that its figures are divided by.
        uploads: whether the large upload is measured.
        grows: whether it is measured with several workers.
    """

    name: str
    command: Sequence[str]
    path: str
    dialect: Dialect | None
    environment: str = OURS
    variables: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[Path], None] | None = None
    prepare_command: Sequence[str] = ()
    baseline: str = PANDAS
    uploads: bool = False
    grows: bool = False

    @property
    def is_peer(self) -> bool:
        return self.environment != OURS

    @property
    def is_drum(self) -> bool:
        return self.name.startswith("drum")

    @property
    def shares_model(self) -> bool:
        """Whether its workers share one loaded model, which shows in their memory alone."""
        return _SHARE in self.variables


@dataclass(frozen=True)
class Peer:
    """An environment of its own: its name, and what pip installs into it."""

    name: str
    requirements: Sequence[str]


COMMON = ("scikit-learn", "pandas", "joblib")
PEERS = {
    peer.name: peer
    for peer in (
        Peer("litserve", ("litserve", *COMMON)),
        Peer("bentoml", ("bentoml", *COMMON)),
        # With later ones its worker processes find no event loop (MLServer 1.7).
        Peer("mlserver", ("mlserver", "mlserver-sklearn", "uvloop<0.22", *COMMON)),
        Peer("rayserve", ("ray[serve]", *COMMON)),
        Peer("mlflow", ("mlflow", *COMMON)),
    )
}


def _uvicorn(app: str) -> tuple[str, ...]:
    options = "--host 127.0.0.1 --port {port} --workers {workers} --log-level warning --no-access-log"
    return "{python}", "-m", "uvicorn", "--app-dir", "{apps}", app, *options.split()


def _drum(name: str, kind: str, *, grows: bool = False) -> Server:
    options = "--target-type binary --positive-class-label malignant --negative-class-label benign"
    return Server(
        name,
        (*_DRUM, "--code-dir", "{files}/frame", *options.split()),
        "/predict/",
        bodies.DRUM,
        variables={"DRUM_SERVER_TYPE": kind, **_DRUM_VARIABLES},
        uploads=True,
        grows=grows,
    )


_DRUM = (
    *"{python} -m datarobot_drum server --address 127.0.0.1:{port}".split(),
    *"--logging-level warning --max-workers {workers}".split(),
)
_DRUM_VARIABLES = {"DRUM_FASTAPI_MAX_UPLOAD_SIZE": "0", "DRUM_LAME_DUCK_SECONDS": "0"}


def _write_mlserver_settings(folder: Path) -> None:
    """Its model settings: the runtime for scikit-learn and where the estimator lies."""
    model = folder / "mlserver"
    model.mkdir(exist_ok=True)
    settings = {
        "name": "model",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": str(folder / "array" / "model.joblib"), "version": "1"},
    }
    (model / "model-settings.json").write_text(json.dumps(settings))


def _mlserver(name: str, processes: int) -> Server:
    return Server(
        name,
        ("{bin}/mlserver", "start", "{files}/mlserver"),
        "/v2/models/model/infer",
        bodies.OPEN_INFERENCE,
        environment="mlserver",
        variables={
            "MLSERVER_DEBUG": "false",
            "MLSERVER_HOST": "127.0.0.1",
            "MLSERVER_HTTP_PORT": "{port}",
            "MLSERVER_GRPC_PORT": "{port2}",
            "MLSERVER_METRICS_PORT": "{port3}",
            "MLSERVER_PARALLEL_WORKERS": str(processes),
            "MLSERVER_METRICS_DIR": "{files}/mlserver",
            "MLSERVER_ENVIRONMENTS_DIR": "{files}/mlserver",
        },
        prepare=_write_mlserver_settings,
    )


ARRAY_MODEL = {"MODEL": "{files}/array/model.joblib"}

SERVERS = {
    server.name: server
    for server in (
        Server(ECHO, _uvicorn("echo_app:app"), "/echo", None, baseline=ECHO),
        Server(
            PANDAS,
            _uvicorn("pandas_app:app"),
            "/predict",
            bodies.TABLE,
            variables={"MODEL": "{files}/frame/model.pkl"},
            uploads=True,
            grows=True,
        ),
        _drum("drum-fastapi", "fastapi", grows=True),
        _drum("drum-gunicorn", "gunicorn", grows=True),
        _drum("drum-flask", "flask"),
        Server(
            "drum-no-op",
            (*_DRUM, "--code-dir", "{apps}/no_op", "--target-type", "unstructured"),
            "/predictUnstructured/",
            None,
            variables={"DRUM_SERVER_TYPE": "fastapi", **_DRUM_VARIABLES},
            baseline=ECHO,
        ),
        Server(
            "litserve",
            ("{python}", "{apps}/litserve_app.py", "{port}"),
            "/predict",
            bodies.NAMED_ROWS,
            environment="litserve",
            variables=ARRAY_MODEL,
        ),
        Server(
            "bentoml",
            (
                *"{bin}/bentoml serve bentoml_app:Classifier --working-dir {apps}".split(),
                *"--host 127.0.0.1 --port {port} -q".split(),
            ),
            "/predict",
            bodies.PLAIN_ROWS,
            environment="bentoml",
            variables={**ARRAY_MODEL, "BENTOML_HOME": "{files}/bentoml", "BENTOML_DO_NOT_TRACK": "True"},
        ),
        _mlserver("mlserver", 1),
        _mlserver("mlserver-in-process", 0),
        Server(
            "rayserve",
            ("{python}", "{apps}/ray_serve_app.py", "{port}"),
            "/",
            bodies.NAMED_ROWS,
            environment="rayserve",
            variables={**ARRAY_MODEL, "RAY_USAGE_STATS_ENABLED": "0"},
        ),
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
            prepare_command=("{python}", "{apps}/mlflow_model.py", "{files}/frame/model.pkl", "{files}/mlflow"),
        ),
    )
}


def _shared(server: Server) -> Server:
    name, variables = f"{server.name}-shared", {**server.variables, _SHARE: "1"}
    return replace(server, name=name, variables=variables, uploads=False)


for _name in ("drum-fastapi", "drum-gunicorn"):
    SERVERS[f"{_name}-shared"] = _shared(SERVERS[_name])
