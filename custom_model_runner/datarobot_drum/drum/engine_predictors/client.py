"""HTTP clients of an engine, and what their errors mean."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from datarobot_drum.drum.exceptions import BadGateway, DeadlineExceeded, ServerOverloaded
from datarobot_drum.drum.settings.engine import EngineSettings

CONNECT_SECONDS = 10.0
"""The engine runs nearby: who does not take a connection by then is not there."""

POOL_SECONDS = 30.0
"""How long a request waits for a free connection."""

IDLE_SECONDS = 2.0
"""How long an idle connection is kept: less than any engine keeps it (uvicorn: 5 s), else requests get lost on it."""


def open_client(engine: EngineSettings) -> httpx.Client:
    """A client for threads."""
    return httpx.Client(**_options(engine))


def open_async_client(engine: EngineSettings) -> httpx.AsyncClient:
    """A client for one event loop."""
    return httpx.AsyncClient(**_options(engine))


def engine_timeout(engine: EngineSettings) -> httpx.Timeout:
    """How long each step of a request to the engine may take."""
    return httpx.Timeout(
        engine.timeout, connect=min(engine.timeout, CONNECT_SECONDS), pool=min(engine.timeout, POOL_SECONDS)
    )


def _options(engine: EngineSettings) -> dict[str, Any]:
    count = engine.connections
    return {
        "base_url": engine.url,
        "timeout": engine_timeout(engine),
        "limits": httpx.Limits(max_connections=count, max_keepalive_connections=count, keepalive_expiry=IDLE_SECONDS),
        # Neither a proxy nor a password file of this machine is meant for the engine.
        "trust_env": False,
        # All clients share this one: what the engine tells one of them to remember is no business of the others.
        "cookies": CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        # The engine speaks plain HTTP; to load certificates takes longer than a request does.
        "verify": False,
    }


@contextmanager
def engine_errors(engine: EngineSettings) -> Iterator[None]:
    """Errors of the client as ours.

    Raises:
        ServerOverloaded: all connections are busy.
        DeadlineExceeded: the engine is silent for too long.
        BadGateway: it cannot be reached, or it broke off.
    """
    try:
        yield
    except httpx.PoolTimeout as error:
        raise ServerOverloaded("All connections to the engine are busy. Please retry later.") from error
    except httpx.TimeoutException as error:
        raise DeadlineExceeded(
            f"The engine at {engine.url} did not answer in time (NIM_DIRECT_ACCESS_REQUEST_TIMEOUT)."
        ) from error
    except httpx.ConnectError as error:
        raise BadGateway(f"The engine at {engine.url} cannot be reached.") from error
    except httpx.TransportError as error:
        reason = str(error).rstrip(".") or type(error).__name__
        raise BadGateway(f"The engine at {engine.url} broke off: {reason}.") from error
