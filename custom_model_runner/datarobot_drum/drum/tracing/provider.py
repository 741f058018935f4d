"""The tracer provider and its exporters, by OpenTelemetry's standard variables and the extra ``otel``."""

from __future__ import annotations

import logging
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from datarobot_drum.drum.tracing.spans import provider_exists

if TYPE_CHECKING:
    from datarobot_drum.drum.settings.tracing import TracingSettings

logger = logging.getLogger(__name__)

_GROUP = "opentelemetry_traces_exporter"
_MISSING = "Spans are not exported, as %s is not installed: pip install 'datarobot-drum[otel]'."


def start_exporting(settings: TracingSettings) -> Any:
    """Set up the tracer provider of this process. It may start a thread: call it after any fork.

    The SDK reads the variables of sampling, batching, resource and endpoint. A missing package is a warning: a
    platform may set the variables for all its containers.

    Returns:
        The provider, whose ``shutdown`` exports the remaining spans; None if tracing is off, or model code has set up
        one.
    """
    if not settings.exporters or provider_exists():
        return None
    try:
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
    except ImportError:
        logger.warning(_MISSING, "opentelemetry-sdk")
        return None
    from opentelemetry import trace

    provider = TracerProvider(shutdown_on_exit=False)
    for name in settings.exporters:
        exporter = _load_exporter(name)
        if exporter is not None:
            # Console output is for development: print each span when it ends.
            processor = SimpleSpanProcessor if name == "console" else BatchSpanProcessor
            provider.add_span_processor(processor(exporter()))
    trace.set_tracer_provider(provider)
    return provider


def _load_exporter(name: str) -> Any:
    found: tuple[EntryPoint, ...] = tuple(entry_points(group=_GROUP, name=name))
    try:
        if found:
            return found[0].load()
    except ImportError:
        logger.debug("The exporter %s cannot be loaded.", name, exc_info=True)
    logger.warning(_MISSING, f"the exporter {name!r}")
    return None
