"""The number of calls that should run at once, found by experiment: samples in, limit out, without threads or clocks.

A model that waits gains from every thread. One that computes gains from as many as it can use cores: one if it holds
the GIL. The CPU time of a call does not tell waiting for the GIL from waiting for a service, the throughput does:

- While calls wait and the running ones use hardly any CPU time, the limit doubles.
- Otherwise a *trial* compares the throughput at another limit with that at the present one, before and after it. The
  lower limit is tried at the number of cores in use, the higher one a step further.
- A lower limit wins if it loses nothing, a higher one if it gains clearly.
- Pauses between trials grow while nothing changes.

The models are the limits of Netflix's concurrency-limits (Vegas, Gradient2), which compare latencies under different
load, and AIMD's asymmetry: here the increase is multiplicative, since a limit that is too low can block calls.
"""

from dataclasses import dataclass, field

IDLE_SHARE, BUSY_SHARE = 0.1, 0.5
"""Of the CPU that one computing thread can use: below the first, calls surely wait; below the second, probably."""

IDLE_SECONDS = 0.15
MIN_TRIAL_SHARE, FULL_SHARE = 0.25, 0.85
MIN_CONCURRENCY = 0.7
MIN_SECONDS, MAX_SECONDS, MIN_COMPLETED, MIN_COMPARED = 0.3, 2.0, 12, 5
"""A window ends with that many calls, or after the maximum; it then counts by calls if there are enough to compare."""

MAX_DRAIN_SECONDS, MAX_SETTLE_SECONDS = 5.0, 1.0
NO_LOSS, GAIN, CLEAR_LOSS, CLEAR_GAIN = 0.95, 1.08, 0.7, 1.3
CHANGE = 1.6
"""Ratio of throughput or CPU time to the last trial's beyond which the model, or its load, has changed."""

MIN_PAUSE, MAX_PAUSE = 2.0, 30.0


@dataclass(frozen=True)
class Sample:
    """What happened in a fraction of a second: ``busy_seconds`` is the time of all slots in use together."""

    seconds: float
    busy_seconds: float
    cpu_seconds: float
    completed: int
    waiting: int
    """Calls in the queue at the end."""
    running: int
    """Calls that run at the end."""
    slots: int
    """Calls that may run: the limit, and those that are not counted."""

    @property
    def is_draining(self) -> bool:
        return self.running > self.slots


@dataclass
class Window:
    """Samples added up."""

    seconds: float = 0.0
    busy_seconds: float = 0.0
    cpu_seconds: float = 0.0
    completed: int = 0
    waiting_seconds: float = 0.0

    def add(self, sample: Sample) -> None:
        waiting_seconds = sample.seconds if sample.waiting else 0.0
        self.merge(Window(sample.seconds, sample.busy_seconds, sample.cpu_seconds, sample.completed, waiting_seconds))

    def merge(self, other: "Window") -> None:
        self.seconds += other.seconds
        self.busy_seconds += other.busy_seconds
        self.cpu_seconds += other.cpu_seconds
        self.completed += other.completed
        self.waiting_seconds += other.waiting_seconds

    @property
    def is_complete(self) -> bool:
        return self.seconds >= MAX_SECONDS or (self.seconds >= MIN_SECONDS and self.completed >= MIN_COMPLETED)

    @property
    def concurrency(self) -> float:
        return self.busy_seconds / self.seconds

    @property
    def cpu_rate(self) -> float:
        """Cores in use."""
        return self.cpu_seconds / self.seconds

    @property
    def cpu_share(self) -> float:
        """CPU time of a slot in use."""
        return self.cpu_seconds / self.busy_seconds if self.busy_seconds else 1.0

    @property
    def throughput(self) -> float:
        return self.completed / self.seconds


@dataclass
class Trial:
    """A comparison of two limits: at ``base``, at ``candidate``, and at ``base`` again unless the result is clear."""

    base: int
    candidate: int
    at_base: Window
    at_candidate: Window = field(default_factory=Window)
    is_returning: bool = False
    seconds: float = 0.0
    """Since the last change of the limit."""
    completed: int = 0
    is_settled: bool = False

    @property
    def limit(self) -> int:
        return self.base if self.is_returning else self.candidate

    def settle(self, sample: Sample) -> None:
        """Wait until no surplus call runs and every slot has finished a call that started before the change."""
        self.seconds += sample.seconds
        if not sample.is_draining:
            self.completed += sample.completed
            self.is_settled = self.completed >= self.limit or self.seconds >= MAX_SETTLE_SECONDS

    def return_to_base(self) -> None:
        self.is_returning, self.is_settled, self.seconds, self.completed = True, False, 0.0, 0

    @property
    def gain(self) -> float:
        """Throughput of the candidate divided by that of the base."""
        base, candidate = self.at_base, self.at_candidate
        if min(base.completed, candidate.completed) >= MIN_COMPARED:
            return candidate.throughput / base.throughput
        return self.cpu_gain

    @property
    def cpu_gain(self) -> float:
        return self.at_candidate.cpu_rate / max(self.at_base.cpu_rate, 1e-9)

    @property
    def is_clear(self) -> bool:
        return self.is_returning or not CLEAR_LOSS < self.gain < CLEAR_GAIN

    @property
    def succeeds(self) -> bool:
        if self.candidate > self.base:
            return self.gain >= CLEAR_GAIN or (self.gain >= GAIN and self.cpu_gain >= GAIN)
        if min(self.at_base.completed, self.at_candidate.completed) >= MIN_COMPARED:
            return self.gain >= NO_LOSS
        return self.gain > CLEAR_LOSS  # of CPU time, of which calls that wait for the GIL use more than they need


class ConcurrencyLimit:
    """A limit between 1 and ``maximum`` that follows the model.

    Args:
        maximum: the first limit, too, so that a model that waits loses nothing.
        cores: that the process can use; may be a fraction.
    """

    def __init__(self, maximum: int, cores: float) -> None:
        self.maximum = maximum
        self.limit = maximum
        self._cores = cores
        self._one_core = min(1.0, cores)
        self._idle_seconds = 0.0
        self._trial: Trial | None = None
        self._recent = Window()
        self._reference: Window | None = None
        self._rejected: set[int] = set()
        self._pause, self._next_pause = 0.0, MIN_PAUSE
        self._since_trial = MIN_PAUSE

    def update(self, sample: Sample) -> int:
        """Return the limit after ``sample``."""
        must_grow = self._must_grow(sample)
        if self._trial is not None:
            if must_grow:
                self._reject(self._trial)
            else:
                self._continue_trial(self._trial, sample)
        elif must_grow and self.limit < self.maximum:
            self._grow()
        else:
            self._watch(sample)
        return self.limit

    def reset(self) -> None:
        """End the trial that runs: there is no load."""
        self._abandon_trial()
        self._recent = Window()

    # Growth without a trial

    def _must_grow(self, sample: Sample) -> bool:
        """Return True once calls have waited for calls that use no CPU time; that may be for one another."""
        cpu_share = sample.cpu_seconds / sample.busy_seconds if sample.busy_seconds else 1.0
        if sample.waiting and cpu_share * sample.slots < IDLE_SHARE * self._one_core:
            self._idle_seconds += sample.seconds
        else:
            self._idle_seconds = 0.0
        return self._idle_seconds >= IDLE_SECONDS

    def _grow(self) -> None:
        """Double the limit; what trials have found no longer holds."""
        self.limit = min(self.maximum, 2 * self.limit)
        self._recent, self._reference = Window(), None
        self._rejected.clear()
        self._pause, self._next_pause = 0.0, MIN_PAUSE

    # Between trials

    def _watch(self, sample: Sample) -> None:
        self._recent.add(sample)
        self._pause -= sample.seconds
        self._since_trial += sample.seconds
        if self._recent.seconds >= MIN_SECONDS and self._probably_waits(self._recent, sample.slots):
            self._grow()
        elif self._recent.is_complete:
            recent, self._recent = self._recent, Window()
            if self._has_changed(recent):
                self._pause = 0.0
            candidate = self._choose_candidate(recent) if self._pause <= 0 else None
            if candidate is not None:
                self._begin(Trial(self.limit, candidate, recent))

    def _probably_waits(self, recent: Window, slots: int) -> bool:
        """Return True if calls wait and the CPU time is less than half of what one thread could use.

        A thread that computes on a busy machine uses as little. So a result of a trial is kept until the share of CPU
        time falls to half of what it was.
        """
        if self.limit == self.maximum or recent.waiting_seconds < recent.seconds / 2:
            return False
        if self._reference is not None and recent.cpu_share >= self._reference.cpu_share / 2:
            return False
        return recent.cpu_share * slots < BUSY_SHARE * self._one_core

    def _has_changed(self, recent: Window) -> bool:
        before = self._reference
        if before is None or self._since_trial < MIN_PAUSE:
            return False
        rates = [(recent.cpu_rate, before.cpu_rate)]
        if min(recent.completed, before.completed) >= MIN_COMPARED:
            rates.append((recent.throughput, before.throughput))
        return any(max(pair) > CHANGE * max(min(pair), 1e-9) for pair in rates)

    def _begin(self, trial: Trial) -> None:
        self._trial = trial
        self.limit = trial.limit

    def _choose_candidate(self, recent: Window) -> int | None:
        """Return a limit to try: a lower one if more calls run than cores are in use, a higher one if calls wait."""
        cores_in_use = max(1, round(recent.cpu_rate))
        candidates = []
        if recent.cpu_rate >= MIN_TRIAL_SHARE * self._one_core and recent.concurrency >= cores_in_use + 0.5:
            lower = [cores_in_use] if recent.cpu_rate >= BUSY_SHARE * self._one_core else []
            candidates = [number for number in (*lower, self.limit // 2) if cores_in_use <= number < self.limit]
        if recent.waiting_seconds >= recent.seconds / 2 and recent.cpu_rate < FULL_SHARE * self._cores:
            candidates.append(self.limit + 1)
        return next((number for number in candidates if number <= self.maximum and number not in self._rejected), None)

    # A trial

    def _continue_trial(self, trial: Trial, sample: Sample) -> None:
        if not trial.is_settled:
            trial.settle(sample)
            if sample.is_draining and trial.seconds >= MAX_DRAIN_SECONDS:
                self._reject(trial)
            return
        window = trial.at_candidate if not trial.is_returning else self._recent
        window.add(sample)
        if not window.is_complete:
            return
        if window.concurrency < MIN_CONCURRENCY * min(trial.base, trial.candidate):
            self.reset()  # too few requests to compare anything
        elif not trial.is_clear:
            trial.return_to_base()
            self._begin(trial)
        else:
            self._conclude(trial)

    def _conclude(self, trial: Trial) -> None:
        if trial.is_returning:
            trial.at_base.merge(self._recent)
        if trial.succeeds:
            self._abandon_trial()
            self.limit, self._reference = trial.candidate, trial.at_candidate
            self._rejected.clear()
            self._pause, self._next_pause = 0.0, MIN_PAUSE
        else:
            self._reject(trial)
        self._recent = Window()

    def _reject(self, trial: Trial) -> None:
        """Keep the limit; try the other direction at once, or pause if that was tried, too."""
        self._abandon_trial()
        self._reference, self._recent = trial.at_base, Window()
        self._rejected.add(trial.candidate)
        if self._choose_candidate(trial.at_base) is None:
            self._rejected.clear()
            self._pause, self._next_pause = self._next_pause, min(MAX_PAUSE, 2 * self._next_pause)

    def _abandon_trial(self) -> None:
        if self._trial is not None:
            self.limit = self._trial.base
            self._trial, self._since_trial = None, 0.0
