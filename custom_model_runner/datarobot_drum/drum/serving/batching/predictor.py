"""One prediction for several calls: compatible samples are concatenated, predicted at once and split again.

Each call gets the result that it would get alone. A batch that fails is bisected until the failing calls are isolated,
and these get the error of their own prediction. The first batches are also predicted one by one, as a trial: batching
is switched off for a model whose results differ.
"""

import logging
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from datarobot_drum.drum.imports import import_from_string
from datarobot_drum.drum.language_predictors.base import Predictions
from datarobot_drum.drum.process.forks import exit_fork
from datarobot_drum.drum.serving.batching.split import predictions_equal, split
from datarobot_drum.drum.serving.messages import ModelResponse

logger = logging.getLogger(__name__)

BATCH_CONCAT = "datarobot_drum.drum.tabular.batch_concat"

TRIAL_CALLS = 8
"""Calls of a trial batch, which are also predicted one by one."""

TRIALS = 3
"""Trials that a model needs to pass if it predicts the same for every call; else one is enough."""


class BatchableCall(Protocol):
    """A call whose samples can be predicted with those of others, in the ``context`` of its request."""

    @property
    def context(self) -> Context: ...

    def read(self) -> Any:
        """Return the samples; called once."""

    def respond(self, predictions: Predictions) -> ModelResponse: ...


class Outcome(NamedTuple):
    """The response or the error of the call at ``position`` of the batch."""

    position: int
    response: ModelResponse | None
    error: BaseException | None


@dataclass(frozen=True, eq=False)
class _Samples:
    position: int
    call: BatchableCall
    data: Any
    rows: int


_Result = tuple[_Samples, Predictions | None, BaseException | None]


@dataclass
class BatchPredictor:
    """Predicts for several calls at once; safe to use from several threads.

    Args:
        predict: the model.
        max_rows: of one prediction for several calls.
    """

    predict: Callable[[Any], Predictions]
    max_rows: int
    is_on: bool = True
    """False after a trial has shown that predictions depend on the other rows of a batch."""
    bisections: int = 0
    """Number of batches that failed and were bisected."""
    _trials: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, calls: Sequence[BatchableCall]) -> Iterator[Outcome]:
        """Yield the outcome of each call as soon as it is known; errors of calls are never raised."""
        key_of = import_from_string(f"{BATCH_CONCAT}:concat_key")
        groups: dict[Hashable, list[_Samples]] = {}
        for position, call in enumerate(calls):
            data, error = _attempt(call.context, call.read)
            if error is not None:
                yield Outcome(position, None, error)
                continue
            key = key_of(data)
            rows = 0 if key is None else import_from_string(f"{BATCH_CONCAT}:count_rows")(data)
            groups.setdefault(position if key is None else key, []).append(_Samples(position, call, data, rows))
        for group in groups.values():
            for batch in self._limit_rows(group):
                for samples, predictions, error in self._predict_group(batch):
                    yield _respond(samples, predictions, error)

    def _limit_rows(self, group: list[_Samples]) -> Iterator[list[_Samples]]:
        """Yield parts within the limit: only now is the number of rows known."""
        part: list[_Samples] = []
        for samples in group:
            if part and sum(other.rows for other in part) + samples.rows > self.max_rows:
                yield part
                part = []
            part.append(samples)
        yield part

    def _predict_group(self, batch: list[_Samples]) -> Iterator[_Result]:
        if len(batch) == 1 or not self.is_on:
            yield from map(self._predict_alone, batch)
        elif self._trials < TRIALS:
            yield from self._run_trial(batch[:TRIAL_CALLS])
            if len(batch) > TRIAL_CALLS:
                yield from self._predict_group(batch[TRIAL_CALLS:])
        else:
            yield from self._predict_together(batch)

    def _predict_alone(self, samples: _Samples) -> _Result:
        return samples, *_attempt(samples.call.context, self.predict, samples.data)

    def _predict_together(self, batch: list[_Samples]) -> Iterator[_Result]:
        if len(batch) == 1:
            yield self._predict_alone(batch[0])
            return
        shares, error = _attempt(batch[0].call.context, self._predict_shares, batch)
        if shares is None:
            logger.debug("A batch of %d calls failed and is bisected.", len(batch), exc_info=error)
            with self._lock:
                self.bisections += 1
            middle = len(batch) // 2
            yield from self._predict_together(batch[:middle])
            yield from self._predict_together(batch[middle:])
            return
        for samples, share in zip(batch, shares, strict=True):
            yield self._predict_alone(samples) if share is None else (samples, share, None)

    def _predict_shares(self, batch: list[_Samples]) -> list[Predictions | None]:
        """Return the share of each call in one prediction; raise the errors of the model.

        It runs in the context of the first request: log lines carry its id.
        """
        joined = import_from_string(f"{BATCH_CONCAT}:concat")([samples.data for samples in batch])
        return list(split(self.predict(joined), [samples.rows for samples in batch]))

    # Trials

    def _run_trial(self, batch: list[_Samples]) -> Iterator[_Result]:
        """Predict together and one by one, and yield the results of the latter."""
        shares, _ = _attempt(batch[0].call.context, self._predict_shares, batch)  # first: a hook may change its input
        results = [self._predict_alone(samples) for samples in batch]
        self._evaluate_trial(shares, results)
        yield from results

    def _evaluate_trial(self, shares: list[Predictions | None] | None, results: list[_Result]) -> None:
        has_failed = any(error is not None for _, _, error in results)
        if shares is None:
            if not has_failed:
                self._turn_off("it fails for rows together that it predicts alone")
            return
        alone = [predictions for _, predictions, _ in results]
        if has_failed or not all(map(_matches, shares, alone)):
            self._turn_off("it does not predict rows together as it does alone")
            return
        distinct = any(not _matches(alone[0], other) for other in alone[1:])
        with self._lock:
            # Equal predictions prove little: a mean over the batch would be equal, too.
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


def _matches(share: Predictions | None, alone: Predictions | None) -> bool:
    return share is None or alone is None or predictions_equal(share, alone)


def _respond(samples: _Samples, predictions: Predictions | None, error: BaseException | None) -> Outcome:
    if predictions is None:
        return Outcome(samples.position, None, error)
    return Outcome(samples.position, *_attempt(samples.call.context, samples.call.respond, predictions))


def _attempt(context: Context, work: Callable[..., Any], *arguments: Any) -> tuple[Any, BaseException | None]:
    try:
        result = context.run(work, *arguments)
    except BaseException as error:  # it belongs to this one call
        exit_fork(error)
        return None, error
    exit_fork()
    return result, None
