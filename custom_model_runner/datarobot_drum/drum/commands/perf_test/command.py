"""``drum perf-test``: the sweep over request sizes and concurrency, from arguments to the exit code."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from pathlib import Path

import pandas as pd

from datarobot_drum.drum.commands.input_file import input_path, is_chat_request
from datarobot_drum.drum.commands.model_server import ModelServer, running_server
from datarobot_drum.drum.commands.perf_test.comparison import HEADER, compare, different_facts
from datarobot_drum.drum.commands.perf_test.knee import knee_lines
from datarobot_drum.drum.commands.perf_test.load import Endpoint, LoadLevel, Measurement, measure_level, measure_rate
from datarobot_drum.drum.commands.perf_test.report import Report, render
from datarobot_drum.drum.commands.perf_test.saved_run import SavedRun, facts_of, read_run, save_run
from datarobot_drum.drum.commands.perf_test.sizing import DEFAULT_P99, WorkerModel, describe, size
from datarobot_drum.drum.commands.perf_test.table import COLUMNS, cells_of, milliseconds
from datarobot_drum.drum.commands.progress import progress_bar
from datarobot_drum.drum.commands.report_facts import Fact
from datarobot_drum.drum.commands.report_file import report_path, write_report
from datarobot_drum.drum.commands.samples import AS_WRITTEN, Body, read_samples, to_body
from datarobot_drum.drum.commands.target_type.detection import with_target_type
from datarobot_drum.drum.commands.terminal_table import print_table
from datarobot_drum.drum.exceptions import CommandError, UsageError
from datarobot_drum.drum.settings.arguments import Arguments
from datarobot_drum.drum.settings.build import build_model_settings
from datarobot_drum.drum.settings.target_types import TargetType

BATCH_SIZES = (1, 10, 100, 1000)
CONCURRENCY = (1, 2, 4, 8, 16)
DURATION_SECONDS = 3
TIMEOUT_SECONDS = 600

_CHECK_DURATIONS = 4
"""The run that checks a sizing, in durations of one measurement: a p99 takes many requests."""

SUCCESS, FAILURE = 0, 1


@dataclass(frozen=True)
class Plan:
    """The load levels to measure, sizes outermost, and the durations."""

    batch_sizes: tuple[int, ...]
    concurrency: tuple[int, ...]
    duration: int
    timeout: int

    @property
    def levels(self) -> list[LoadLevel]:
        return [LoadLevel(rows, clients) for rows in self.batch_sizes for clients in self.concurrency]


def measure(arguments: Arguments) -> int:
    """Start a server, measure it, print the table and write the report.

    Returns:
        1 if a request failed or the timeout passed before every level was measured, else 0.

    Raises:
        UsageError: an argument is missing or wrong, or the model is unstructured.
        StartupError: the server does not start or does not respond.
        UnprocessableInput: the input contains no table.
    """
    if arguments.plan is not None:
        return size_deployment(arguments)
    plan = make_plan(arguments)
    arguments = with_target_type(arguments)
    path = input_path(arguments)
    target_type = build_model_settings(arguments).target_type
    if target_type is TargetType.UNSTRUCTURED:
        raise UsageError("drum perf-test sends rows of samples: an unstructured model cannot be measured.")
    report_file, save_file = report_path(arguments), report_path(arguments, "--save")
    saved = read_run(arguments.compare) if arguments.compare else None
    is_chat = target_type.may_chat and is_chat_request(path)
    plan = replace(plan, batch_sizes=(1,)) if is_chat else plan
    body_of = _chat(path) if is_chat else partial(_repeated, read_samples(path, max(plan.batch_sizes), AS_WRITTEN))
    deadline = time.monotonic() + plan.timeout
    with running_server(arguments, plan.timeout) as server:
        measurements = list(_sweep(plan, server, body_of, deadline))
        settings = server.settings
    facts = facts_of(settings, path.name, plan.duration)
    print_table([name for name, _ in COLUMNS], map(cells_of, measurements))
    _print_knees(measurements)
    if saved is not None:
        _print_comparison(saved, facts, measurements)
    if save_file:
        save_run(save_file, facts, measurements)
    if report_file:
        write_report(report_file, render(Report(settings.model.code_dir.name, facts, tuple(measurements), saved)))
    return _exit_code(plan, measurements)


def size_deployment(arguments: Arguments) -> int:
    """Measure one worker, print a deployment for the rate of ``--plan``, and compare its p99 with a measured one.

    Raises:
        UsageError: a number is not positive, or the model is unstructured.
        CommandError: a request failed, or no deployment meets ``--p99``.
    """
    rate, target = float(arguments.plan or 0), (arguments.p99 or DEFAULT_P99 * 1000) / 1000
    if rate <= 0 or target <= 0:
        raise UsageError("--plan and --p99 must be above 0.")
    plan = make_plan(replace(arguments, batch_sizes=(arguments.batch_sizes or BATCH_SIZES)[:1]))
    arguments = with_target_type(arguments)
    if build_model_settings(arguments).target_type is TargetType.UNSTRUCTURED:
        raise UsageError("drum perf-test sends rows of samples: an unstructured model cannot be measured.")
    samples = read_samples(input_path(arguments), max(plan.batch_sizes), AS_WRITTEN)
    deadline = time.monotonic() + plan.timeout
    with running_server(replace(arguments, max_workers=1), plan.timeout) as server:
        measurements = list(_sweep(plan, server, partial(_repeated, samples), deadline))
        code = _exit_code(plan, measurements)
        if code != SUCCESS:
            return code
        sizing = size(_worker_model(measurements), rate, target, arguments.max_workers or 1)
        print(describe(sizing), flush=True)
        body = _repeated(samples, plan.batch_sizes[0])
        endpoint = Endpoint(server.settings.port, server.predict_path, body, server.headers(body))
        checked = measure_rate(sizing.rate_per_worker, endpoint, _CHECK_DURATIONS * plan.duration, deadline)
    p99, p50 = (milliseconds(checked.percentile(share)) for share in (0.99, 0.5))
    count, per_worker = checked.requests, sizing.rate_per_worker
    print(f"measured   p99 {p99} ms, p50 {p50} ms of one worker at {per_worker:.1f} requests/s ({count} requests)")
    return FAILURE if checked.errors else SUCCESS


def _worker_model(measurements: Sequence[Measurement]) -> WorkerModel:
    """Return the model of the measured worker: its times with one client, its throughput with any number."""
    lone = measurements[0]
    throughput = max(measurement.requests_per_second for measurement in measurements)
    return WorkerModel.from_measurements(lone.latencies, throughput, max(one.memory for one in measurements))


def make_plan(arguments: Arguments) -> Plan:
    """Return the plan of the arguments, completed with defaults.

    Raises:
        UsageError: a number is not positive.
    """
    plan = Plan(
        _ascending(arguments.batch_sizes or BATCH_SIZES),
        _ascending(arguments.concurrency or CONCURRENCY),
        DURATION_SECONDS if arguments.duration is None else arguments.duration,
        TIMEOUT_SECONDS if arguments.timeout is None else arguments.timeout,
    )
    lowest = {
        "--batch-sizes": plan.batch_sizes[0],
        "--concurrency": plan.concurrency[0],
        "--duration": plan.duration,
        "--timeout": plan.timeout,
    }
    for flag, number in lowest.items():
        if number < 1:
            raise UsageError(f"{flag} must be 1 or more, not {number}.")
    return plan


def _ascending(numbers: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(set(numbers)))


def _sweep(plan: Plan, server: ModelServer, body_of: Callable[[int], Body], deadline: float) -> Iterator[Measurement]:
    """Measure each level in turn, until the deadline.

    Raises:
        CommandError: the server rejects the requests, or has exited.
    """
    bodies: dict[int, Body] = {}
    with progress_bar() as on_progress:
        for number, level in enumerate(plan.levels):
            if time.monotonic() >= deadline:
                return
            on_progress("measuring", number / len(plan.levels))
            if level.rows not in bodies:
                bodies = {level.rows: body_of(level.rows)}
                _warm_up(server, bodies[level.rows], deadline)
            body = bodies[level.rows]
            endpoint = Endpoint(server.settings.port, server.predict_path, body, server.headers(body))
            yield measure_level(level, endpoint, plan.duration, deadline, server.resident_bytes)
            if not server.is_running():
                raise CommandError(f"The server exited during the measurement: exit code {server.process.returncode}.")


def _chat(path: Path) -> Callable[[int], Body]:
    """Return a function whose result is always the request in the file."""
    body = Body(path.read_bytes(), "application/json")

    def same_request(rows: int) -> Body:
        return body

    return same_request


def _repeated(samples: pd.DataFrame, rows: int) -> Body:
    """Return a body of ``rows`` rows: the samples, repeated as needed."""
    return to_body(samples.iloc[[place % len(samples) for place in range(rows)]])


def _warm_up(server: ModelServer, body: Body, deadline: float) -> None:
    """Send the first request of a size, which is slower, without measuring it."""
    response = server.post(body, max(deadline - time.monotonic(), 1.0))
    if response.status != HTTPStatus.OK:
        raise CommandError(f"The server responds {response.status}: {response.message}")


def _print_knees(measurements: Sequence[Measurement]) -> None:
    print("\n".join(["", *knee_lines(measurements)]))


def _print_comparison(saved: SavedRun, facts: Sequence[Fact], measurements: Sequence[Measurement]) -> None:
    print(f"\nCompared with {saved.name} of {saved.facts.get('date', 'an unknown date')}:")
    changes = compare(saved, measurements)
    if not changes:
        print("No load level is in both runs: give the same --batch-sizes and --concurrency.")
        return
    print_table(list(HEADER), (change.cells for change in changes))
    for sentence in different_facts(saved, facts):
        print(f"Differs: {sentence}")


def _exit_code(plan: Plan, measurements: Sequence[Measurement]) -> int:
    """Report failures on standard error and return the exit code."""
    failures = sum((measurement.failures for measurement in measurements), Counter[str]())
    if failures:
        message, count = failures.most_common(1)[0]
        sys.stderr.write(f"drum: error: {failures.total()} requests failed; {count} of them with {message}\n")
    missing = len(plan.levels) - len(measurements)
    if missing:
        sys.stderr.write(f"drum: error: --timeout {plan.timeout} s ran out with {missing} measurements to go.\n")
    return FAILURE if failures or missing else SUCCESS
