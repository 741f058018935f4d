"""Parameters of a deployment on Ray Serve."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from datarobot_drum.drum.exceptions import UsageError
from datarobot_drum.drum.settings.declaration import parameter, settings_of
from datarobot_drum.drum.settings.value_parsers import Kind

RAY = ("ray",)


@dataclasses.dataclass(frozen=True)
class RayParameters:
    """What Ray reserves for a replica, and how many replicas there are."""

    ray_cpus: float = parameter(
        "DRUM_RAY_CPUS",
        Kind.NUMBER,
        "CPUs that Ray reserves for a replica.",
        default=1.0,
        limits=(0, 1024),
        servers=RAY,
    )
    ray_gpus: float = parameter(
        "DRUM_RAY_GPUS",
        Kind.NUMBER,
        "GPUs that Ray reserves for a replica; a fraction shares one.",
        default=0.0,
        limits=(0, 64),
        servers=RAY,
    )
    ray_memory: int = parameter(
        "DRUM_RAY_MEMORY",
        Kind.SIZE,
        "Memory that Ray reserves for a replica.",
        default=0,
        servers=RAY,
    )
    ray_max_replicas: int = parameter(
        "DRUM_RAY_MAX_REPLICAS",
        Kind.INTEGER,
        "Maximum of replicas. Above --max-workers, which then is the minimum, Ray scales between both.",
        default=0,
        limits=(0, 10_000),
        servers=RAY,
    )
    ray_target_requests: float = parameter(
        "DRUM_RAY_TARGET_REQUESTS",
        Kind.NUMBER,
        "Requests at once in each replica that scaling aims at; 0 = executor workers.",
        default=0.0,
        limits=(0, 100_000),
        servers=RAY,
    )


def parse_ray_arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the final values of parameters that are given by field name.

    Raises:
        UsageError: a name is none of them.
        RuntimeParameterError: a value does not fit.
    """
    declared = settings_of(RayParameters)
    unknown = [name for name in given if name not in declared]
    if unknown:
        raise UsageError(f"{unknown[0]!r} is no argument: choose from {', '.join(declared)}.")
    return {name: declared[name].parse(value) for name, value in given.items()}
