"""Settings of an inference engine that runs beside this server, in its own container."""

import re
from dataclasses import dataclass

from datarobot_drum.drum.exceptions import UsageError
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.settings.server_parameters import ServerParameters
from datarobot_drum.drum.settings.target_types import TargetType

HEALTH_PATHS = {"nim": "/v1/health/ready", "vllm": "/health"}
"""The readiness route of each kind of engine."""

_HOST = re.compile(r"[A-Za-z0-9_.-]+|\[?[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*]?")


@dataclass(frozen=True)
class EngineSettings:
    """The engine that serves the model. Times are in seconds; ``connections`` is the limit per process."""

    kind: str
    host: str = "127.0.0.1"
    port: int = 8000
    model_name: str = "datarobot-deployed-llm"
    prompt_column: str = "promptText"
    timeout: float = 3600.0
    connections: int = 100
    health_interval: float = 2.0
    forwards_authorization: bool = False

    @property
    def url(self) -> str:
        """The base URL, without a trailing slash."""
        host = self.host.strip("[]")
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def health_path(self) -> str:
        return HEALTH_PATHS[self.kind]


def is_host(text: str) -> bool:
    """Return True if ``text`` is a host name or an IP address."""
    return _HOST.fullmatch(text) is not None


def find_engine(arguments: Arguments, server: ServerParameters, target_type: TargetType) -> EngineSettings | None:
    """Return the engine that the arguments name; None without one.

    Raises:
        UsageError: the arguments contradict each other, or do not fit the target type.
    """
    kind = arguments.gpu_predictor
    if kind is None:
        if arguments.sidecar:
            raise UsageError("--sidecar says that an engine runs beside this server: name it with --gpu-predictor.")
        return None
    if not arguments.sidecar:
        raise UsageError(
            f"--gpu-predictor {kind} starts no engine here: run {kind} in a container of its own and give --sidecar."
        )
    if not (target_type.may_chat or target_type is TargetType.UNSTRUCTURED):
        raise UsageError(
            f"--gpu-predictor serves models of target type textgeneration, agenticworkflow or unstructured, not "
            f"{target_type.value}."
        )
    return EngineSettings(
        kind=kind,
        host=server.engine_host,
        port=server.engine_port,
        model_name=server.served_model_name,
        prompt_column=server.engine_prompt_column,
        timeout=server.engine_timeout,
        connections=server.engine_connections,
        health_interval=server.engine_health_interval,
        forwards_authorization=server.engine_forwards_authorization,
    )
