"""``PredictionServer`` owns the predictor, its executor and the life of the model; an adapter serves it."""

import logging
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context, copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

from datarobot_drum.drum.exceptions import DrumError, ExtensionError, StartupError
from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.language_predictors.base import BasePredictor
from datarobot_drum.drum.language_predictors.factory import create_predictor
from datarobot_drum.drum.language_predictors.routed_predictor import served_models
from datarobot_drum.drum.model_loading.shared_model import SharedModel, load_predictor, to_startup_error
from datarobot_drum.drum.model_loading.thread_settings import ThreadSettings
from datarobot_drum.drum.model_loading.warm_up import find_sample
from datarobot_drum.drum.process.event_loops import keep_loop_of_load
from datarobot_drum.drum.process.signals import LOADER_THREAD
from datarobot_drum.drum.process.stdout_flusher import StdoutFlusher
from datarobot_drum.drum.process.worker_ctx import WorkerCtx
from datarobot_drum.drum.root_predictors.executors import create_executor
from datarobot_drum.drum.root_predictors.observers import Observers
from datarobot_drum.drum.server import get_fastapi_app, get_flask_app
from datarobot_drum.drum.serving.access.gate import AccessGate
from datarobot_drum.drum.serving.body.limits import BodyLimits
from datarobot_drum.drum.serving.body.memory_budget import MemoryBudget
from datarobot_drum.drum.serving.body.spooled_file import CHUNK_SIZE, SPOOL_MAX_SIZE, SpooledUploadFile
from datarobot_drum.drum.serving.core import ServingCore
from datarobot_drum.drum.serving.error_formats import error_formats_by_path
from datarobot_drum.drum.serving.execution.executor import ExecutorWithBackpressure
from datarobot_drum.drum.serving.extensions import extension_errors, reject_changed_extension
from datarobot_drum.drum.serving.handlers import Handlers
from datarobot_drum.drum.serving.headers import set_served_model
from datarobot_drum.drum.serving.metrics.families import LOAD_SECONDS, PREDICTION_SECONDS, REQUEST_BYTES
from datarobot_drum.drum.serving.metrics.recorder import OFF, Recorder, cells_of_process
from datarobot_drum.drum.serving.metrics.timings import Timings
from datarobot_drum.drum.serving.model_state import ModelState
from datarobot_drum.drum.serving.openapi.docs_page import DescribedModel, OpenApiHandlers
from datarobot_drum.drum.serving.request_log import RequestLog
from datarobot_drum.drum.serving.route_labels import RouteLabels, all_labels
from datarobot_drum.drum.serving.routed_handlers import RoutedHandlers
from datarobot_drum.drum.serving.routes import (
    METRICS_ROUTE,
    ROUTES,
    probe_paths,
    traced_patterns,
    traced_routes,
    traced_subpath_routes,
    with_platform_paths,
)
from datarobot_drum.drum.serving.scraping import merge_dead_files
from datarobot_drum.drum.serving.v2.grpc_paths import OPEN_RPC_PATHS, PROBE_PATHS, TRACED_PATHS
from datarobot_drum.drum.serving.v2.handlers import V2Handlers
from datarobot_drum.drum.serving.v2.model import V2Model, V2Models
from datarobot_drum.drum.settings.build import Settings, settings_from_values
from datarobot_drum.drum.settings.environment import metrics_directory
from datarobot_drum.drum.settings.model_digest import known_digests
from datarobot_drum.drum.settings.model_identity import identities_of
from datarobot_drum.drum.tracing.provider import start_exporting
from datarobot_drum.drum.tracing.spans import Tracing, detect_provider
from datarobot_drum.version import __version__

if TYPE_CHECKING:
    from fastapi import FastAPI
    from flask import Flask

    from datarobot_drum.drum.serving.batching.batcher import Batching

__all__ = [
    "CHUNK_SIZE",
    "SPOOL_MAX_SIZE",
    "ExecutorWithBackpressure",
    "PredictionServer",
    "SpooledUploadFile",
]

logger = logging.getLogger(__name__)

EXTENSION_LOADERS = {
    "flask": "datarobot_drum.drum.flask.extensions:load_flask_extensions",
    "fastapi": "datarobot_drum.drum.fastapi.extensions:load_fastapi_extensions",
}

LAST_WAIT_SECONDS = 1.0
"""Seconds for which the cleanup waits for predictions that timed out or whose clients disconnected."""


class PredictionServer:
    """One model behind one app.

    Args:
        params: the settings of this server, or values of ``drum server``'s arguments by name.
        app: a Flask or FastAPI app to mount the routes on; without one, the server type decides which is built.
        worker_ctx: of the process that runs this server; without one, the server makes and starts its own.
        flask_app: the old name of ``app``.
        shared: the model that the parent of this process has loaded; without one, this server loads its own.
    """

    def __init__(
        self,
        params: Settings | Mapping[str, Any],
        app: "FastAPI | Flask | None" = None,
        worker_ctx: WorkerCtx | None = None,
        flask_app: "Flask | None" = None,
        shared: SharedModel | None = None,
    ) -> None:
        if flask_app is not None:
            warnings.warn("flask_app is now called app.", DeprecationWarning, stacklevel=2)
            app = app if app is not None else flask_app
        self.app: Any = app
        settings = self.settings = params if isinstance(params, Settings) else _settings(params, app)
        self.uses_fastapi = _is_fastapi(app) if app is not None else settings.server.server_type == "fastapi"
        self._starts_ctx = worker_ctx is None
        self.worker_ctx = worker_ctx or WorkerCtx()
        self.state = ModelState()
        prefix = settings.url_prefix
        platform = settings.platform.routes
        routes = (*ROUTES, METRICS_ROUTE) if settings.server.metrics == "all" else ROUTES
        self._routes = with_platform_paths(routes, prefix, platform.health, platform.predict)
        has_metrics = settings.server.has_metrics or settings.tracing.metric_exporters
        self.recorder = Recorder(cells_of_process(), all_labels()) if has_metrics else OFF
        tracing = Tracing(
            traced_routes(prefix, self._routes) | TRACED_PATHS,
            traced_subpath_routes(prefix),
            settings.tracing.captured_headers,
            traced_patterns(prefix),
        )
        labels = RouteLabels(prefix, self._routes)
        self._identities = identities_of(settings.model, known_digests(settings.model))
        self.request_log = RequestLog(
            probe_paths(prefix, self._routes) | PROBE_PATHS,
            tracing,
            self.recorder,
            labels,
            self._identities[""],
            shows_model=settings.server.model_header,
        )
        set_served_model(self._identities[""].header if settings.server.model_header else "")
        self.flusher = StdoutFlusher()
        self.load_error: BaseException | None = None
        self._on_failure: Callable[[], object] | None = None
        self._shared = shared
        # The event loop's context is a copy of this one; a new thread of a WSGI server has an empty one.
        self._base_context = copy_context() if self.uses_fastapi else Context()
        self.predictor = self._create_predictor()
        self.executor = create_executor(settings, self.predictor, self.recorder, uses_fastapi=self.uses_fastapi)
        self.flusher.periodic_tasks.append(self.executor.sample_metrics)
        self.observers = Observers(settings.server, self.recorder)
        self.core = self._create_core()

    def materialize(self) -> list[Any]:
        """Mount the routes and load the model; afterwards ``app`` serves.

        On FastAPI the model loads in a thread while the app answers probes. On Flask it is loaded on return.

        Raises:
            StartupError: on Flask the model did not load and there is no error server.
        """
        self.flusher.start(self.worker_ctx)
        self.observers.start(self.worker_ctx)
        self._start_tracing()
        if self.uses_fastapi:
            self.app = get_fastapi_app(self.core, self.app)
            self.app.state.prediction_server = self
            if self._shared is not None:
                self._keep_thread_settings()
            context = copy_context()
            threading.Thread(target=context.run, args=(self._load_quietly,), name=LOADER_THREAD, daemon=True).start()
        else:
            self.app = get_flask_app(self.core, self.app)
            self.app.extensions["prediction_server"] = self
            self.load()
        return []

    def _start_tracing(self) -> None:
        self.state.finished.add_done_callback(lambda _: detect_provider())
        provider = start_exporting(self.settings.tracing)
        if provider is not None:
            self.worker_ctx.defer_cleanup(provider.shutdown, order=-100, desc="send the last spans")

    def load(self) -> None:
        """Load the model in this thread.

        Raises:
            StartupError: it failed; with the error server the failure is kept and answered instead.
        """
        if self.predictor is not None and self.load_error is None:
            try:
                if self._shared is None:
                    seconds = load_predictor(self.predictor, self.settings)
                else:
                    seconds = self._shared.seconds
                if self._shared is None or not self.uses_fastapi:
                    self._keep_thread_settings()
                self.predictor.on_worker_start(self.worker_ctx)
            except Exception as error:  # model code may raise anything; the cause is kept for the answer
                self._keep_failure(error)
            else:
                self._record_load(self.predictor, seconds)
                self.state.set_ready()
        if self._starts_ctx:
            self.worker_ctx.start()
        self.raise_load_failure()

    def _record_load(self, predictor: BasePredictor, seconds: float) -> None:
        if not self.recorder.is_on:
            return
        merge_dead_files(metrics_directory())
        model = self.settings.model
        self.recorder.set(LOAD_SECONDS, seconds)
        self.recorder.describe_model(
            {
                "model": model.served_name,
                "version": model.served_version,
                "target_type": model.target_type.value,
                "framework": predictor.name,
                "server": self.settings.server.server_type,
                "drum_version": __version__,
                "digest": self._identities[""].short_digest,
            }
        )

    def _keep_thread_settings(self) -> None:
        """Let every prediction thread have the settings of this thread, which has loaded the model."""
        keep_loop_of_load()
        has_hooks = self.predictor is not None and self.predictor.name == "custom"
        settings = ThreadSettings(self._base_context, resets=has_hooks)
        if settings:
            self.executor.before_call = settings.apply

    @property
    def failed(self) -> bool:
        """Whether the model failed to load and nothing but the exit of the process is left to answer with."""
        return self.load_error is not None and not self.settings.with_error_server

    def raise_load_failure(self) -> None:
        """Raise the StartupError of a model that failed to load; nothing on an error server."""
        if self.load_error is not None and self.failed:
            raise to_startup_error(self.load_error)

    def end_process_on_load_failure(self) -> None:
        """For an app under a server that is not ours: a failed load ends the process by SIGTERM."""
        self._on_failure = self._end_process
        if self.failed:
            self._end_process()

    def _end_process(self) -> None:
        logger.error("%s", self.state.cause)
        os.kill(os.getpid(), signal.SIGTERM)

    def close(self) -> None:
        """Stop and clean up the worker: refuse new calls, wait for what runs, give everything back."""
        self.worker_ctx.stop()
        self.worker_ctx.cleanup()

    def _load_quietly(self) -> None:
        try:
            self.load()
        except StartupError:
            logger.debug("Whoever runs the server watches its state and ends the process.")

    def _create_predictor(self) -> BasePredictor | None:
        if self.settings.parameter_error is not None:
            self._keep_failure(self.settings.parameter_error)
            return None
        if self._shared is not None:
            if self._shared.error is not None:
                self._keep_failure(self._shared.error)
            return self._shared.predictor
        try:
            return create_predictor(self.settings.model)
        except DrumError as error:
            self._keep_failure(error)
            return None

    def _load_extension(self, app: Any) -> bool:
        """Apply ``custom_fastapi.py`` or ``custom_flask.py``; a failure counts as one of the model's load (H90)."""
        load = import_from_string(EXTENSION_LOADERS["fastapi" if self.uses_fastapi else "flask"])
        try:
            if self.load_error is not None:
                reject_changed_extension(self.settings.model.code_dir)
            return bool(load(app, self.settings.model.code_dir))
        except ExtensionError as error:
            self._keep_failure(error)
            return True

    @contextmanager
    def _extension_errors(self, what_failed: str) -> Iterator[None]:
        """Keep an error of an extension's middleware or lifespan as a failure of the model's load."""
        try:
            with extension_errors(what_failed, self.settings.model.code_dir):
                yield
        except ExtensionError as error:
            self._keep_failure(error)

    def _keep_failure(self, error: Exception) -> None:
        self.load_error = error
        cause = str(error) or type(error).__name__
        if self.settings.with_error_server:  # else the process ends with the cause
            logger.error("Start failed: %s", cause, exc_info=error if self.settings.show_stacktrace else None)
        else:
            logger.debug("Start failed.", exc_info=error)
        if isinstance(error, ExtensionError):
            self.state.set_extension_failed()
        else:
            self.state.set_failed(cause)
        if self.failed and self._on_failure:
            self._on_failure()

    def _stop_executor(self) -> None:
        """Refuse what has not started. What runs was given its time; a thread that goes on cannot be stopped."""
        self.executor.shutdown(wait=False)
        if not self.executor.wait_idle(LAST_WAIT_SECONDS):
            logger.warning("%d predictions still run and are abandoned.", self.executor.running)

    def _create_core(self) -> ServingCore:
        server = self.settings.server
        models = self._create_handlers()
        handlers = models.get("") or self._create_routed_handlers(models)
        ctx = self.worker_ctx
        v2 = self._create_v2(handlers, models)
        documentation = self._create_documentation()
        batching = self._create_batching(handlers, v2)
        if self.uses_fastapi:
            ctx.set_backpressure_metrics((batching or self.executor).metrics)
        ctx.defer_cleanup(self._stop_executor, order=100, desc="shut down the executor")
        if self.predictor is not None:
            ctx.add_closeable(self.predictor, order=50)
        budget = MemoryBudget.for_process(server.memory_budget)
        return ServingCore(
            handlers=handlers,
            executor=self.executor,
            state=self.state,
            worker_ctx=ctx,
            request_log=self.request_log,
            all_routes=self._routes,
            flusher=self.flusher,
            limits=BodyLimits(
                max_size=server.max_upload_size,
                directory=server.spool_directory or None,
                budget=budget,
                upload_timeout=server.upload_timeout,
                input=self.settings.model.limits,
                on_received=partial(self.recorder.observe, REQUEST_BYTES) if self.recorder.is_on else None,
            ),
            request_timeout=server.request_timeout,
            load_extension=self._load_extension,
            extension_errors=self._extension_errors,
            url_prefix=self.settings.url_prefix,
            documentation=documentation,
            batching=batching,
            v2=v2,
            load_timeout=server.executor_queue_timeout,
            access=self._create_access_gate(documentation),
            slow_calls=self.observers.slow_calls,
        )

    def _create_access_gate(self, documentation: OpenApiHandlers | None) -> AccessGate | None:
        """Return what decides about requests. A scrape of metrics is no probe there: it shows what the server does."""
        access, prefix = self.settings.access, self.settings.url_prefix
        if access.is_open:
            return None
        probes = probe_paths(prefix, [route for route in self._routes if route is not METRICS_ROUTE])
        formats = error_formats_by_path(self._routes, prefix)
        pages = documentation.open_pages() if documentation else {}
        return AccessGate(access, probes, OPEN_RPC_PATHS, prefix, formats, pages)

    def _create_batching(self, handlers: Handlers, v2: V2Handlers) -> "Batching | None":
        if type(self.executor) is ExecutorWithBackpressure or self.predictor is None:
            return None
        from datarobot_drum.drum.serving.batching.batcher import Batching
        from datarobot_drum.drum.serving.batching.executor import BatchingExecutor

        assert isinstance(self.executor, BatchingExecutor)
        return Batching(self.executor, self.predictor, handlers, v2, self.observers.slow_calls)

    def _create_handlers(self) -> dict[str, Handlers]:
        """Return the handlers of each model of a routed set; of a single model with an empty name."""
        timings = Timings(partial(self.recorder.observe, PREDICTION_SECONDS))
        server = self.settings.server
        return {
            name: Handlers(
                predictor,
                model,
                server.server_type,
                self.state,
                self.worker_ctx,
                server.llm_id,
                show_details=server.info_details,
                recorder=self.recorder,
                timings=timings,
                observer=self.observers.of_model(model),
                identity=self._identities[name],
            )
            for name, predictor, model in served_models(self.predictor, self.settings.model)
        }

    def _create_routed_handlers(self, models: Mapping[str, Handlers]) -> Handlers:
        server, timings = self.settings.server, next(iter(models.values())).timings
        return RoutedHandlers(
            models,
            self.predictor,
            self.settings.model,
            server.server_type,
            self.state,
            self.worker_ctx,
            show_details=server.info_details,
            recorder=self.recorder,
            timings=timings,
            observer=self.observers.of_model(self.settings.model),
            identity=self._identities[""],
        )

    def _create_v2(self, handlers: Handlers, models: Mapping[str, Handlers]) -> V2Handlers:
        served = [
            V2Model(
                predictor,
                model,
                self.state,
                own.do_readyz,
                own.measure_prediction,
                own.count_rows,
                own.identity,
                own.observer,
            )
            for own, (_, predictor, model) in zip(
                models.values(), served_models(self.predictor, self.settings.model), strict=True
            )
        ]
        return V2Handlers(V2Models(served), handlers.do_readyz, self.settings.model.limits)

    def _create_documentation(self) -> OpenApiHandlers | None:
        if not self.settings.server.enable_docs:
            return None
        server = self.settings.server
        models = [
            DescribedModel(
                predictor,
                model,
                partial(find_sample, model.code_dir, server.warm_up_file),
                self._identities[name].short_digest,
            )
            for name, predictor, model in served_models(self.predictor, self.settings.model)
        ]
        return OpenApiHandlers(
            self.settings.model,
            models,
            self.state,
            self.settings.url_prefix,
            show_details=server.info_details,
            access=self.settings.access,
        )


def _settings(values: Mapping[str, Any], app: object | None) -> Settings:
    """Return the settings for ``values``; the app, where there is one, decides the server type."""
    return settings_from_values(values, None if app is None else "fastapi" if _is_fastapi(app) else "flask")


def _is_fastapi(app: object) -> bool:
    """Told by the name of its class, so that no framework is imported to find out."""
    return any(cls.__module__.startswith("fastapi.") for cls in type(app).__mro__)
