"""The methods of the gRPC service as paths, by which requests are logged and traced."""

SERVICE = "inference.GRPCInferenceService"
HEALTH_SERVICE = "grpc.health.v1.Health"

INFER = "ModelInfer"
INFER_PATH = f"/{SERVICE}/{INFER}"

PROBE_PATHS = frozenset(
    {f"/{SERVICE}/{method}" for method in ("ServerLive", "ServerReady", "ModelReady")}
    | {f"/{HEALTH_SERVICE}/{method}" for method in ("Check", "Watch")}
)
"""Methods that an orchestrator calls again and again."""

OPEN_RPC_PATHS = PROBE_PATHS - {f"/{SERVICE}/ModelReady"}
"""Methods that need no API key. The state of a model by its name needs one, as over HTTP."""

TRACED_PATHS = {
    INFER_PATH: ("drum.invocations", INFER_PATH),
    **{
        f"/{SERVICE}/{method}": (f"drum.grpc.{method}", f"/{SERVICE}/{method}")
        for method in ("ServerMetadata", "ModelMetadata")
    },
}
"""The name of the span and the route, by path."""
