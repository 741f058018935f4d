"""HTTP clients of an engine, and the translation of their errors."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from datarobot_drum.drum.engine_predictors.transport import AsyncEngineTransport, EngineTransport
from datarobot_drum.drum.exceptions import BadGateway, DeadlineExceeded, ServerOverloaded
from datarobot_drum.drum.settings.engine import EngineSettings

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 10.0
"""Connect timeout; short, since the engine runs nearby."""

POOL_SECONDS = 30.0
"""Maximum wait for a free connection."""

IDLE_SECONDS = 2.0
"""Keep-alive of idle connections; shorter than that of any engine (uvicorn: 5 s), else requests fail on closed ones."""


def open_client(engine: EngineSettings) -> httpx.Client:
    """Open a client for use in threads."""
    return httpx.Client(**_options(engine), transport=EngineTransport(**_transport_options(engine)))


def open_async_client(engine: EngineSettings) -> httpx.AsyncClient:
    """Open a client for one event loop."""
    return httpx.AsyncClient(**_options(engine), transport=AsyncEngineTransport(**_transport_options(engine)))


def engine_timeout(engine: EngineSettings) -> httpx.Timeout:
    """Return the timeouts of the steps of a request to the engine."""
    return httpx.Timeout(
        engine.timeout, connect=min(engine.timeout, CONNECT_SECONDS), pool=min(engine.timeout, POOL_SECONDS)
    )


def _options(engine: EngineSettings) -> dict[str, Any]:
    return {
        "base_url": engine.url,
        "timeout": engine_timeout(engine),
        # Proxies and password files of this machine do not apply to the engine.
        "trust_env": False,
        # All our clients share this HTTP client: a cookie for one must not reach the others.
        "cookies": CookieJar(DefaultCookiePolicy(allowed_domains=[])),
    }


def _transport_options(engine: EngineSettings) -> dict[str, Any]:
    count = engine.connections
    return {
        "limits": httpx.Limits(max_connections=count, max_keepalive_connections=count, keepalive_expiry=IDLE_SECONDS),
        "trust_env": False,
        # The engine uses plain HTTP; loading certificates takes longer than a request.
        "verify": False,
    }


@contextmanager
def engine_errors(engine: EngineSettings) -> Iterator[None]:
    """Raise errors of httpx as ``RequestError``. The address of the engine is logged; clients do not see it.

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
        raise DeadlineExceeded("The engine did not answer in time (NIM_DIRECT_ACCESS_REQUEST_TIMEOUT).") from error
    except httpx.ConnectError as error:
        logger.warning("The engine at %s cannot be reached: %s", engine.url, error)
        raise BadGateway("The engine cannot be reached.") from error
    except httpx.TransportError as error:
        logger.warning("The engine at %s broke off: %s", engine.url, str(error) or type(error).__name__)
        raise BadGateway("The engine broke off, or its response is no valid HTTP.") from error
