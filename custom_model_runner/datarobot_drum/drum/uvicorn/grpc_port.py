"""The gRPC port of a server: its checks before the start, and its server in each worker."""

from importlib.util import find_spec
from typing import Protocol

from datarobot_drum.drum.exceptions import StartupError
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.process.sockets import check_address
from datarobot_drum.drum.serving.core import ServingCore
from datarobot_drum.drum.serving.extensions import find_extension
from datarobot_drum.drum.settings.build import Settings

GRPC_SERVER = "datarobot_drum.drum.grpc.server:GrpcServer"


class GrpcPort(Protocol):
    """The gRPC server of a worker."""

    calls: int

    async def start(self) -> None: ...
    async def stop(self, grace: float) -> None: ...


def check_grpc_port(settings: Settings) -> None:
    """Check that the gRPC port, if there is one, can be served.

    Raises:
        StartupError: the port is taken, or as ``check_grpc_settings``.
    """
    check_grpc_settings(settings)
    if settings.server.grpc_port:
        # Workers share the port by SO_REUSEPORT, so they would share that of another server, too.
        check_address(settings.host, settings.server.grpc_port)


def check_grpc_settings(settings: Settings) -> None:
    """Check the settings of the gRPC port. This imports nothing of gRPC, which no fork survives.

    Raises:
        StartupError: a package is missing, or the model has an extension, which cannot guard the port.
    """
    if not settings.server.grpc_port:
        return
    if not (find_spec("grpc") and find_spec("grpc_health")):
        raise StartupError("DRUM_GRPC_PORT needs the extra grpc: pip install 'datarobot-drum[grpc]'.")
    if find_extension(settings.model.code_dir, "fastapi") is not None:
        raise StartupError(
            "DRUM_GRPC_PORT cannot be used with custom_fastapi.py: authentication that an extension adds does not "
            "guard gRPC calls. Remove one of them."
        )


def new_grpc_port(settings: Settings, core: ServingCore) -> GrpcPort | None:
    """Return the gRPC server of this worker; None without a port."""
    port = settings.server.grpc_port
    if not port:
        return None
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    server: GrpcPort = import_from_string(GRPC_SERVER)(core, f"{host}:{port}", settings.access.tls)
    return server
