"""API keys and TLS on the gRPC port: the same rules and files as over HTTP."""

from pathlib import Path

import grpc
import pytest
import trustme

from datarobot_drum.drum.serving.v2.grpc_paths import HEALTH_SERVICE, SERVICE
from tests.api.models import write_code
from tests.certificates import CertificateFiles, issue
from tests.processes import RunningServer, free_port

pytestmark = pytest.mark.process

KEY = "a-key-of-the-grpc-tests"
METHODS = {
    name: f"/{SERVICE}/{name}" for name in ("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelInfer")
}
MODEL = """
import pandas as pd


def score(data, model, **kwargs):
    return pd.DataFrame({"Predictions": data.iloc[:, 0].astype(float)})
"""


def call(port: int, authority: trustme.CA, path: str, *metadata: tuple[str, str]) -> grpc.StatusCode:
    """Return the status of an empty call on a new connection."""
    trusted = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.secure_channel(f"localhost:{port}", trusted, options) as channel:
        try:
            channel.unary_unary(path)(b"", metadata=metadata, timeout=5.0)
        except grpc.RpcError as error:
            code: grpc.StatusCode = error.code()
            return code
    return grpc.StatusCode.OK


def test_keys_and_renewed_certificates_hold_for_grpc(tmp_path: Path) -> None:
    port, authority, other = free_port(), trustme.CA(), trustme.CA()
    files = CertificateFiles(tmp_path)
    files.write(issue(authority))
    variables = {"DRUM_SERVER_TYPE": "fastapi", "DRUM_GRPC_PORT": str(port), "DRUM_API_KEYS": KEY}
    server = RunningServer(
        "--code-dir",
        write_code(tmp_path / "model", MODEL),
        "--target-type",
        "regression",
        log=tmp_path / "log",
        environment={**variables, **files.variables, "DRUM_LAME_DUCK_SECONDS": "0"},
        ready=None,
    )
    ok, rejected = grpc.StatusCode.OK, grpc.StatusCode.UNAUTHENTICATED
    with server:
        server.wait_until(lambda: call(port, authority, METHODS["ServerLive"]) is ok, "a gRPC port with TLS")
        for path in (METHODS["ServerReady"], f"/{HEALTH_SERVICE}/Check"):
            assert call(port, authority, path) is ok
        metadata = METHODS["ServerMetadata"]
        for name in ("ServerMetadata", "ModelReady", "ModelInfer"):
            assert call(port, authority, METHODS[name]) is rejected
        assert call(port, authority, metadata, ("authorization", f"Bearer {KEY}")) is ok
        assert call(port, authority, metadata, ("x-api-key", KEY)) is ok
        assert call(port, authority, metadata, ("x-api-key", KEY), ("x-api-key", KEY)) is rejected
        assert call(port, authority, metadata, ("authorization", "Bearer wrong")) is rejected
        files.write(issue(other))
        server.wait_until(lambda: call(port, other, METHODS["ServerLive"]) is ok, "the renewed certificate")
        assert KEY not in server.log()
