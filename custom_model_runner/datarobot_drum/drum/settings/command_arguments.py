"""Arguments that one subcommand alone takes."""

import dataclasses

from datarobot_drum.drum.settings.declaration import PERF_TEST, SCORE, argument
from datarobot_drum.drum.settings.value_parsers import Kind


@dataclasses.dataclass(frozen=True)
class ScoreArguments:
    """Parts, processes and machines of ``drum score``."""

    output_format: str | None = argument(
        "--output-format",
        "Format of the parts in a folder of --output: csv (the default) or parquet.",
        kind=Kind.CHOICE,
        choices=("csv", "parquet"),
        metavar="FORMAT",
        name="DRUM_SCORE_OUTPUT_FORMAT",
        commands=(SCORE,),
    )
    workers: int | None = argument(
        "--workers",
        "Processes that predict, each with the model; 1 by default, with --engine ray one for each CPU of the cluster.",
        kind=Kind.INTEGER,
        metavar="N",
        name="DRUM_SCORE_WORKERS",
        commands=(SCORE,),
    )
    engine: str | None = argument(
        "--engine",
        "Where parts are predicted: local (the default), or ray, with the extra ray.",
        kind=Kind.CHOICE,
        choices=("local", "ray"),
        metavar="ENGINE",
        name="DRUM_SCORE_ENGINE",
        commands=(SCORE,),
    )
    ray_address: str | None = argument(
        "--address",
        "Address of the Ray cluster of --engine ray, auto for the one of this machine; without it, Ray starts here for "
        "the command.",
        metavar="ADDRESS",
        name="DRUM_SCORE_ADDRESS",
        commands=(SCORE,),
    )
    resume: bool = argument(
        "--resume",
        "Continue a run into the folder of --output: finished parts are kept.",
        kind=Kind.BOOLEAN,
        name="DRUM_SCORE_RESUME",
        commands=(SCORE,),
    )


@dataclasses.dataclass(frozen=True)
class PerfTestArguments:
    """Load and plan of ``drum perf-test``."""

    plan: float | None = argument(
        "--plan",
        "Size a deployment for so many requests per second: measures one worker, prints workers, replicas, resources "
        "and the numbers of an autoscaler.",
        kind=Kind.NUMBER,
        metavar="RATE",
        name="DRUM_PERF_TEST_PLAN",
        commands=(PERF_TEST,),
    )
    p99: float | None = argument(
        "--p99",
        "Latency in milliseconds that 99 of 100 requests of --plan meet; default 100.",
        kind=Kind.NUMBER,
        metavar="MILLISECONDS",
        name="DRUM_PERF_TEST_P99",
        commands=(PERF_TEST,),
    )
    batch_sizes: tuple[int, ...] | None = argument(
        "--batch-sizes",
        "Rows per request, one or more numbers separated by blanks or commas.",
        kind=Kind.INTEGERS,
        metavar="N",
        commands=(PERF_TEST,),
    )
    concurrency: tuple[int, ...] | None = argument(
        "--concurrency",
        "Concurrent requests, one or more numbers separated by blanks or commas.",
        kind=Kind.INTEGERS,
        metavar="N",
        commands=(PERF_TEST,),
    )
    duration: int | None = argument(
        "--duration",
        "Duration of each measurement in seconds.",
        kind=Kind.INTEGER,
        metavar="SECONDS",
        commands=(PERF_TEST,),
    )
    timeout: int | None = argument(
        "--timeout",
        "Timeout of the whole test in seconds.",
        kind=Kind.INTEGER,
        metavar="SECONDS",
        commands=(PERF_TEST,),
    )
