"""What is known of a request beside its response, for its log line, its span and the header of the model.

The adapters' outermost layer makes the facts; whatever works on the request, in any thread, adds to them.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass

from datarobot_drum.drum.exceptions import (
    InsufficientStorage,
    ModelNotReady,
    PayloadTooLarge,
    RequestTimeout,
    TooManyRequests,
    Unauthorized,
)
from datarobot_drum.drum.settings.model_identity import ModelIdentity
from datarobot_drum.drum.tracing.spans import annotate


@dataclass(slots=True)
class RequestFacts:
    """The facts of one request.

    Args:
        model: that answers it; of a routed set the whole set until one of its models is chosen.
        rows: predicted or transformed; None without any.
        queue_seconds: the wait for a slot; None for a request that waits for none.
        rejected: the reason, if the request was rejected before it could reach the executor.
    """

    model: ModelIdentity | None = None
    rows: int | None = None
    queue_seconds: float | None = None
    rejected: str = ""

    def add_rows(self, rows: int) -> None:
        self.rows = rows + (self.rows or 0)


_REASONS = {
    Unauthorized: "unauthorized",
    TooManyRequests: "rate_limit",
    PayloadTooLarge: "too_large",
    RequestTimeout: "upload_timeout",
    InsufficientStorage: "no_storage",
    ModelNotReady: "not_ready",
}
"""The reasons of rejections before the executor, which counts its own."""

current_facts: ContextVar[RequestFacts | None] = ContextVar("request_facts", default=None)


def note_rows(rows: int) -> None:
    """Add rows to the facts of the current request."""
    facts = current_facts.get()
    if facts is not None:
        facts.add_rows(rows)


def note_rejection(error: BaseException) -> None:
    """Record why the current request is rejected, if it is before the executor."""
    facts = current_facts.get()
    if facts is not None:
        facts.rejected = _REASONS.get(type(error), "")


def note_model(model: ModelIdentity | None) -> None:
    """Record which model of a routed set answers the current request."""
    facts = current_facts.get()
    if facts is not None and model is not None:
        facts.model = model
        annotate(span_attributes(model))


def span_attributes(model: ModelIdentity | None) -> Mapping[str, str]:
    """Return the attributes of a span that name the model."""
    return {} if model is None else model.attributes
