"""One prediction for several calls: samples that fit are joined, predicted at once and split again.

What a caller gets is what it would have got alone. A batch that fails is halved until the calls that are failing stand
alone, and these get the error of their own prediction. Whether a model predicts rows together as it predicts them
alone is found out with the first batches; one that does not is never asked for several calls at once again.
"""

import logging
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.language_predictors.base import Predictions
from datarobot_drum.drum.serving.batching.split import predictions_equal, split
from datarobot_drum.drum.serving.messages import ModelResponse

logger = logging.getLogger(__name__)

BATCH_CONCAT = "datarobot_drum.drum.tabular.batch_concat"

TRIAL_CALLS = 8
"""Calls of a batch that are predicted alone as well, to compare."""

TRIALS = 3
"""Batches after which a model that predicts the same for every call is taken to predict rows independently."""


class BatchableCall(Protocol):
    """A call whose samples may be predicted with those of others. ``context`` is the one of its request."""

    @property
    def context(self) -> Context: ...

    def read(self) -> Any:
        """The samples; called once."""

    def respond(self, predictions: Predictions) -> ModelResponse: ...


class Outcome(NamedTuple):
    """What became of the call at ``place``: its answer, or its error."""

    place: int
    response: ModelResponse | None
    error: BaseException | None


@dataclass(frozen=True, eq=False)
class _Samples:
    place: int
    call: BatchableCall
    data: Any
    rows: int


_Result = tuple[_Samples, Predictions | None, BaseException | None]


@dataclass
class BatchPredictor:
    """Predicts for several calls; from any number of threads.

    Args:
        predict: the model.
        max_rows: of one prediction for several calls.
    """

    predict: Callable[[Any], Predictions]
    max_rows: int
    is_on: bool = True
    """False for good once the model was seen to predict rows together otherwise than alone."""
    bisections: int = 0
    """How often a batch failed and was halved."""
    _trials: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, calls: Sequence[BatchableCall]) -> Iterator[Outcome]:
        """The outcome of each call, as soon as there is one; it never raises what a call raised."""
        key_of = import_from_string(f"{BATCH_CONCAT}:joining_key")
        groups: dict[Hashable, list[_Samples]] = {}
        for place, call in enumerate(calls):
            data, error = _attempt(call.context, call.read)
            if error is not None:
                yield Outcome(place, None, error)
                continue
            key = key_of(data)
            rows = 0 if key is None else import_from_string(f"{BATCH_CONCAT}:count_rows")(data)
            groups.setdefault(place if key is None else key, []).append(_Samples(place, call, data, rows))
        for group in groups.values():
            for batch in self._cut(group):
                for samples, predictions, error in self._predict(batch):
                    yield _answer(samples, predictions, error)

    def _cut(self, group: list[_Samples]) -> Iterator[list[_Samples]]:
        """In order, each piece within the limit: only now is it known how many rows there really are."""
        piece: list[_Samples] = []
        for samples in group:
            if piece and sum(other.rows for other in piece) + samples.rows > self.max_rows:
                yield piece
                piece = []
            piece.append(samples)
        yield piece

    def _predict(self, batch: list[_Samples]) -> Iterator[_Result]:
        if len(batch) == 1 or not self.is_on:
            yield from map(self._alone, batch)
        elif self._trials < TRIALS:
            yield from self._try(batch[:TRIAL_CALLS])
            if len(batch) > TRIAL_CALLS:
                yield from self._predict(batch[TRIAL_CALLS:])
        else:
            yield from self._together(batch)

    def _alone(self, samples: _Samples) -> _Result:
        return samples, *_attempt(samples.call.context, self.predict, samples.data)

    def _together(self, batch: list[_Samples]) -> Iterator[_Result]:
        if len(batch) == 1:
            yield self._alone(batch[0])
            return
        shares, error = _attempt(batch[0].call.context, self._share, batch)
        if shares is None:
            logger.debug("A batch of %d calls failed and is halved.", len(batch), exc_info=error)
            with self._lock:
                self.bisections += 1
            middle = len(batch) // 2
            yield from self._together(batch[:middle])
            yield from self._together(batch[middle:])
            return
        for samples, share in zip(batch, shares, strict=True):
            yield self._alone(samples) if share is None else (samples, share, None)

    def _share(self, batch: list[_Samples]) -> list[Predictions | None]:
        """The share of each in one prediction; raises whatever the model raises.

        It runs in the context of the first request, whose id is in whatever is logged meanwhile.
        """
        joined = import_from_string(f"{BATCH_CONCAT}:join")([samples.data for samples in batch])
        return list(split(self.predict(joined), [samples.rows for samples in batch]))

    # Is this model one that may be batched?

    def _try(self, batch: list[_Samples]) -> Iterator[_Result]:
        """Predict together and alone; the latter is what counts."""
        shares, _ = _attempt(batch[0].call.context, self._share, batch)  # first: a hook may change what it is given
        results = [self._alone(samples) for samples in batch]
        self._judge(shares, results)
        yield from results

    def _judge(self, shares: list[Predictions | None] | None, results: list[_Result]) -> None:
        failing = any(error is not None for _, _, error in results)
        if shares is None:
            if not failing:
                self._turn_off("it fails for rows together that it predicts alone")
            return
        alone = [predictions for _, predictions, _ in results]
        if failing or not all(map(_fit, shares, alone)):
            self._turn_off("it does not predict rows together as it does alone")
            return
        distinct = any(not _fit(alone[0], other) for other in alone[1:])
        with self._lock:
            # Equal predictions prove little: a mean over the batch would be the same, too.
            self._trials = TRIALS if distinct else self._trials + 1

    def _turn_off(self, reason: str) -> None:
        with self._lock:
            was_on, self.is_on = self.is_on, False
        if was_on:
            logger.warning(
                "Micro-batching is off: this model's predictions depend on the batch (%s). Requests are predicted one "
                "by one; set DRUM_FASTAPI_MAX_BATCH_SIZE (or MAX_BATCH_SIZE in custom.py) to 0.",
                reason,
            )


def _fit(share: Predictions | None, alone: Predictions | None) -> bool:
    return share is None or alone is None or predictions_equal(share, alone)


def _answer(samples: _Samples, predictions: Predictions | None, error: BaseException | None) -> Outcome:
    if predictions is None:
        return Outcome(samples.place, None, error)
    return Outcome(samples.place, *_attempt(samples.call.context, samples.call.respond, predictions))


def _attempt(context: Context, work: Callable[..., Any], *arguments: Any) -> tuple[Any, BaseException | None]:
    try:
        return context.run(work, *arguments), None
    except BaseException as error:  # the caller of this one call gets it; the others must go on
        return None, error
