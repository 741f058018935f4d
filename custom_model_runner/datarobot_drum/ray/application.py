"""The application of Ray Serve: one deployment, whose replicas run the FastAPI app."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ray import serve

from datarobot_drum.drum.exceptions import RETRY_AFTER_SECONDS
from datarobot_drum.drum.settings.build import Settings, export_arguments, settings_from_values
from datarobot_drum.drum.settings.environment import own_variables
from datarobot_drum.drum.settings.ray_parameters import parse_ray_arguments
from datarobot_drum.ray.replica import Replica, create_app
from datarobot_drum.runtime_parameters.masking import mask_secrets

DEPLOYMENT = "drum"

_PROBE_REQUESTS = 16
"""Requests beside predictions that a replica takes: probes and other routes that the executor does not admit."""

_DRAIN_CHECK_SECONDS = 0.5
_HEALTH_SECONDS = 5.0


def build_app(**arguments: Any) -> serve.Application:
    """Return the application; variables and defaults fill in what the arguments leave out.

    Args:
        arguments: those of ``drum server`` by name (``code_dir``, ``target_type``, ...), and ``ray_cpus``,
            ``ray_gpus``, ``ray_memory``, ``ray_max_replicas``, ``ray_target_requests``.

    Raises:
        StartupError: an argument, a variable or the model's metadata is wrong.
    """
    given = parse_ray_arguments({name: arguments.pop(name) for name in list(arguments) if name.startswith("ray_")})
    settings = settings_from_values(arguments, "fastapi")
    settings = replace(settings, server=replace(settings.server, **given), arguments=_public(settings.arguments))
    ingress = serve.ingress(create_app)(Replica)
    return serve.deployment(ingress, name=DEPLOYMENT, **_options(settings)).bind()


def builder(arguments: dict[str, Any]) -> serve.Application:
    """Return the application for ``serve run datarobot_drum.ray:builder name=value ...`` and ``args`` of a config."""
    return build_app(**arguments)


def _public(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments without secrets, since Ray shows the variables of replicas to its users."""
    hidden = {name for name, value in arguments.items() if isinstance(value, str) and mask_secrets(value) != value}
    return {name: value for name, value in arguments.items() if name not in {*hidden, "api_token"}}


def _options(settings: Settings) -> dict[str, Any]:
    """Return the options of the deployment."""
    server = settings.server
    admitted = server.executor_workers + server.executor_queue_depth
    replicas: dict[str, Any] = {"num_replicas": settings.workers}
    if server.ray_max_replicas > settings.workers:
        replicas = {
            "autoscaling_config": {
                "min_replicas": settings.workers,
                "max_replicas": server.ray_max_replicas,
                "target_ongoing_requests": server.ray_target_requests or server.executor_workers,
            }
        }
    return {
        **replicas,
        "ray_actor_options": {
            "num_cpus": server.ray_cpus,
            "num_gpus": server.ray_gpus,
            "memory": server.ray_memory or None,
            "runtime_env": {"env_vars": {**own_variables(), **export_arguments(settings)}},
        },
        # More than the executor admits: it rejects late calls itself, so that a client gets the documented response.
        "max_ongoing_requests": admitted + _PROBE_REQUESTS,
        "max_queued_requests": max(1, admitted),
        "backpressure_config": {"status_code": 503, "retry_after_s": RETRY_AFTER_SECONDS},
        "graceful_shutdown_timeout_s": server.graceful_timeout,
        "graceful_shutdown_wait_loop_s": _DRAIN_CHECK_SECONDS,
        "health_check_period_s": _HEALTH_SECONDS,
        "health_check_timeout_s": max(30.0, 2 * _HEALTH_SECONDS),
        "max_constructor_retry_count": 3,
        "logging_config": {"enable_access_log": False},  # the app logs each request
    }
