"""The route table, once, as data: each adapter loops over it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum


class Execution(Enum):
    """Where a handler may run."""

    INLINE = "inline"
    """Touches memory only, so an event loop may run it."""

    PROBE = "probe"
    """Asks the model's own probe if it has one, else touches memory only."""

    STATUS_POOL = "aside"
    """Asks the operating system, so it runs on a thread that predictions never use."""

    EXECUTOR = "model"
    """Calls the model: through the executor, after admission."""

    ENGINE = "engine"
    """Goes on to the predictor's engine without admission, both ways as it comes; without an engine, the handler
    answers, inline."""


@dataclass(frozen=True)
class Route:
    """One entry of the HTTP interface (http-api.md section 2).

    ``handler`` names a method of ``Handlers``; ``paths`` lie below the URL prefix, without their trailing slash, and
    may have parameters such as ``{name}``, which are one segment each;
    ``form_fields`` are the form parts that the handler wants, none for routes that take a body as it is.
    """

    handler: str
    paths: tuple[str, ...]
    method: str = "GET"
    execution: Execution = Execution.INLINE
    form_fields: frozenset[str] = frozenset()
    is_probe: bool = False
    other_methods: tuple[str, ...] = ()
    has_subpath: bool = False
    """Whatever follows the path and a slash belongs to the route, too."""
    needs_subpath: bool = False
    """The path itself is another route."""
    for_openai: bool = False
    """Errors also carry the ``error`` object that OpenAI clients read (http-api.md H56)."""
    is_documentation: bool = False
    """Its handler is one of ``OpenApiHandlers``; not mounted where that is switched off."""
    platform_paths: tuple[str, ...] = ()
    """Paths that the hosting platform requests, not below the URL prefix."""
    for_v2: bool = False
    """Its handler is one of ``V2Handlers``, and its errors have the form of the Open Inference Protocol."""

    @property
    def requires_model(self) -> bool:
        """Whether the handler refuses a request while there is no model."""
        return self.execution in (Execution.EXECUTOR, Execution.ENGINE)

    @property
    def span_name(self) -> str:
        """Of the span of a request: predictions share one name, whatever their kind."""
        is_prediction = self.handler.startswith("do_predict") or self.handler == "do_invocations"
        return "drum.invocations" if is_prediction else f"drum{_PARAMETER.sub('', self.paths[0]).replace('/', '.')}"

    @property
    def methods(self) -> tuple[str, ...]:
        """HEAD works wherever GET does (RFC 9110, 9.1)."""
        listed = (self.method, *self.other_methods)
        return ("GET", "HEAD", *listed[1:]) if self.method == "GET" else listed


_PARAMETER = re.compile(r"/{\w+}")

SAMPLES = frozenset({"X"})
SAMPLES_AND_TARGET = SAMPLES | {"y"}

PLAYGROUND_ROUTE = Route("do_playground", ("/playground",), execution=Execution.STATUS_POOL, is_documentation=True)
"""A page that contains nothing of the model, so the gate serves it without a key, too."""

# FastAPI tries routes in this order, 3 microseconds each: predictions come first.
ROUTES = (
    Route(
        "do_predict_structured",
        ("/predict", "/predictions"),
        method="POST",
        execution=Execution.EXECUTOR,
        form_fields=SAMPLES,
    ),
    Route(
        "do_predict_stream", ("/predictionsStream",), method="POST", execution=Execution.EXECUTOR, form_fields=SAMPLES
    ),
    Route(
        "do_predict_unstructured",
        ("/predictUnstructured", "/predictionsUnstructured"),
        method="POST",
        execution=Execution.EXECUTOR,
    ),
    Route(
        "do_chat",
        ("/chat/completions", "/v1/chat/completions"),
        method="POST",
        execution=Execution.EXECUTOR,
        for_openai=True,
    ),
    Route(
        "do_completions",
        ("/completions", "/v1/completions"),
        method="POST",
        execution=Execution.EXECUTOR,
        for_openai=True,
    ),
    Route(
        "do_embeddings", ("/embeddings", "/v1/embeddings"), method="POST", execution=Execution.EXECUTOR, for_openai=True
    ),
    Route(
        "do_responses", ("/responses", "/v1/responses"), method="POST", execution=Execution.EXECUTOR, for_openai=True
    ),
    Route("get_supported_llm_models", ("/models", "/v1/models"), execution=Execution.EXECUTOR, for_openai=True),
    Route(
        "get_llm_model",
        ("/models", "/v1/models"),
        execution=Execution.EXECUTOR,
        has_subpath=True,
        needs_subpath=True,
        for_openai=True,
    ),
    Route("do_transform", ("/transform",), method="POST", execution=Execution.EXECUTOR, form_fields=SAMPLES_AND_TARGET),
    Route(
        "do_predict_v2",
        ("/v2/models/{name}/infer", "/v2/models/{name}/versions/{version}/infer"),
        method="POST",
        execution=Execution.EXECUTOR,
        for_v2=True,
    ),
    Route("do_v2_live", ("/v2/health/live",), is_probe=True, for_v2=True),
    Route("do_v2_ready", ("/v2/health/ready",), execution=Execution.PROBE, is_probe=True, for_v2=True),
    Route(
        "do_v2_model_ready",
        ("/v2/models/{name}/ready", "/v2/models/{name}/versions/{version}/ready"),
        execution=Execution.PROBE,
        for_v2=True,
    ),
    Route("do_v2_model", ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"), for_v2=True),
    Route("do_v2_server", ("/v2",), for_v2=True),
    Route("do_ping", ("", "/ping"), execution=Execution.PROBE, is_probe=True),
    Route("do_health", ("/health",), execution=Execution.PROBE, is_probe=True),
    Route("do_livez", ("/livez",), is_probe=True),
    Route("do_readyz", ("/readyz",), execution=Execution.PROBE, is_probe=True),
    Route("do_info", ("/info",)),
    # MLflow's scoring server has it.
    Route("do_version", ("/version",)),
    Route("do_stats", ("/stats",), execution=Execution.STATUS_POOL),
    Route("make_capabilities", ("/capabilities",)),
    Route(
        "do_direct_access",
        ("/directAccess", "/nim"),
        other_methods=("POST", "PUT"),
        execution=Execution.ENGINE,
        has_subpath=True,
    ),
    # SageMaker has one path for every kind of model (http-api.md H13).
    Route(
        "do_invocations", ("/invocations",), method="POST", execution=Execution.EXECUTOR, form_fields=SAMPLES_AND_TARGET
    ),
    Route("do_openapi", ("/openapi.json",), execution=Execution.STATUS_POOL, is_documentation=True),
    Route("do_docs", ("/docs",), execution=Execution.STATUS_POOL, is_documentation=True),
    Route("do_docs_script", ("/docs/swagger-ui-bundle.js",), execution=Execution.STATUS_POOL, is_documentation=True),
    Route("do_docs_style", ("/docs/swagger-ui.css",), execution=Execution.STATUS_POOL, is_documentation=True),
    PLAYGROUND_ROUTE,
    Route("do_playground_models", ("/playground/models.json",), execution=Execution.STATUS_POOL, is_documentation=True),
)

METRICS_ROUTE = Route("do_metrics", ("/metrics",), execution=Execution.STATUS_POOL, is_probe=True)
"""Mounted with ``DRUM_METRICS=all`` only. A scrape is no request that anything waits for, or that is counted."""


def path_variants(route: Route, prefix: str) -> Iterator[str]:
    """Every path that serves ``route``: with and without a trailing slash, never by a redirect (http-api.md H1)."""
    for path in () if route.needs_subpath else route.paths:
        if prefix + path:
            yield prefix + path
        yield prefix + path + "/"
    for path in route.platform_paths:
        yield path
        if path != "/":
            yield path + "/"


def with_platform_paths(routes: Sequence[Route], prefix: str, health: str, predict: str) -> tuple[Route, ...]:
    """Return the routes with those that a platform requests: readiness on ``health``, any model on ``predict``.

    A path of ours with the same method keeps its handler, except that ``/predict`` then serves every kind of model.

    Args:
        health: path of GET requests; empty for none.
        predict: path of POST requests; empty for none.
    """
    taken = {
        (method, path): route.handler
        for route in routes
        for path in path_variants(route, prefix)
        for method in route.methods
    }
    own = {"do_readyz": ("GET", health), "do_invocations": ("POST", predict)}
    added = {handler: path for handler, (method, path) in own.items() if path and (method, path) not in taken}
    if taken.get(("POST", predict)) == "do_predict_structured":
        added["do_invocations"] = predict
        routes = [_without_path(route, prefix, predict) for route in routes]
    return tuple(
        replace(route, platform_paths=(added[route.handler],)) if route.handler in added else route for route in routes
    )


def _without_path(route: Route, prefix: str, path: str) -> Route:
    if route.handler != "do_predict_structured":
        return route
    return replace(route, paths=tuple(own for own in route.paths if prefix + own != path))


def traced_routes(prefix: str, routes: Sequence[Route] = ROUTES) -> dict[str, tuple[str, str]]:
    """The name of the span and the path of the route, by every spelling of a route that no orchestrator asks."""
    return {
        path: (route.span_name, path.rstrip("/"))
        for route in routes
        if not route.is_probe
        for path in path_variants(route, prefix)
    }


def traced_subpath_routes(prefix: str) -> dict[str, tuple[str, str]]:
    """The same by the path and slash to which a subpath belongs."""
    return {
        f"{prefix}{path}/": (route.span_name, f"{prefix}{path}/{{subpath}}")
        for route in ROUTES
        for path in route.paths
        if route.has_subpath
    }


def traced_patterns(prefix: str) -> dict[re.Pattern[str], tuple[str, str]]:
    """The same by a pattern, for paths with parameters."""
    return {
        re.compile(_PARAMETER.sub("/[^/]+", re.escape(prefix) + path) + "/?"): (route.span_name, prefix + path)
        for route in ROUTES
        for path in route.paths
        if "{" in path
    }


def subpath_patterns(route: Route, prefix: str, parameter: str) -> Iterator[str]:
    """For a route with a subpath, what a framework's router matches; ``parameter`` stands for anything at all."""
    return (f"{prefix}{path}/{parameter}" for path in route.paths if route.has_subpath)


def openai_handlers() -> frozenset[str]:
    """Return the handlers whose errors carry the ``error`` object of OpenAI."""
    return frozenset(route.handler for route in ROUTES if route.for_openai)


def v2_handlers() -> frozenset[str]:
    """Return the handlers of the Open Inference Protocol."""
    return frozenset(route.handler for route in ROUTES if route.for_v2)


def probe_paths(prefix: str, routes: Sequence[Route] = ROUTES) -> frozenset[str]:
    """Every spelling of the routes that an orchestrator asks again and again."""
    return frozenset(path for route in routes if route.is_probe for path in path_variants(route, prefix))
