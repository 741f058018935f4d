"""HTTP clients of an engine, and the translation of their errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from datarobot_drum.drum.exceptions import BadGateway, DeadlineExceeded, ServerOverloaded
from datarobot_drum.drum.settings.engine import EngineSettings

CONNECT_SECONDS = 10.0
"""Connect timeout; short, since the engine runs nearby."""

POOL_SECONDS = 30.0
"""Maximum wait for a free connection."""

IDLE_SECONDS = 2.0
"""Keep-alive of idle connections; shorter than that of any engine (uvicorn: 5 s), else requests fail on closed ones."""


def open_client(engine: EngineSettings) -> httpx.Client:
    """Open a client for use in threads."""
    return httpx.Client(**_options(engine))


def open_async_client(engine: EngineSettings) -> httpx.AsyncClient:
    """Open a client for one event loop."""
    return httpx.AsyncClient(**_options(engine))


def engine_timeout(engine: EngineSettings) -> httpx.Timeout:
    """Return the timeouts of the steps of a request to the engine."""
    return httpx.Timeout(
        engine.timeout, connect=min(engine.timeout, CONNECT_SECONDS), pool=min(engine.timeout, POOL_SECONDS)
    )


def _options(engine: EngineSettings) -> dict[str, Any]:
    count = engine.connections
    return {
        "base_url": engine.url,
        "timeout": engine_timeout(engine),
        "limits": httpx.Limits(max_connections=count, max_keepalive_connections=count, keepalive_expiry=IDLE_SECONDS),
        # Proxies and password files of this machine do not apply to the engine.
        "trust_env": False,
        # All our clients share this HTTP client: a cookie for one must not reach the others.
        "cookies": CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        # The engine uses plain HTTP; loading certificates takes longer than a request.
        "verify": False,
    }


@contextmanager
def engine_errors(engine: EngineSettings) -> Iterator[None]:
    """Raise errors of httpx as ``RequestError``.

    Raises:
        ServerOverloaded: all connections are busy.
        DeadlineExceeded: the engine did not respond in time.
        BadGateway: the engine cannot be reached, or it closed the connection.
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
