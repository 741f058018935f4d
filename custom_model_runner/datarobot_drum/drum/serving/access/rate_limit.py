"""A limit of the requests of each client, in bounded memory."""

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import lru_cache

from datarobot_drum.drum.settings.access import RateLimit

MAX_CLIENTS = 10_000
"""Clients that are remembered; beyond that the one that was silent for longest is forgotten."""

_IPV6_PREFIX = 64
"""One client usually has all addresses of such a network."""


class RateLimiter:
    """A token bucket for each client: a full one holds ``limit.requests``, and is filled up within ``limit.seconds``.

    Of each client one number is kept: when its bucket is full again (the generic cell rate algorithm).
    """

    def __init__(
        self, limit: RateLimit, clock: Callable[[], float] = time.monotonic, max_clients: int = MAX_CLIENTS
    ) -> None:
        self.limit = limit
        self._clock = clock
        self._max_clients = max_clients
        self._interval = limit.seconds / limit.requests
        self._full_at: OrderedDict[Hashable, float] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, client: Hashable) -> float:
        """Take a token; return 0, or the seconds until there is one."""
        with self._lock:
            now = self._clock()
            full_at = max(self._full_at.pop(client, now), now)
            wait = full_at + self._interval - now - self.limit.seconds
            is_rejected = wait > self._interval / 1000  # more than a rounding error
            self._full_at[client] = full_at if is_rejected else full_at + self._interval
            if len(self._full_at) > self._max_clients:
                self._full_at.popitem(last=False)
            return wait if is_rejected else 0.0


@lru_cache(maxsize=1024)
def client_network(address: str) -> str:
    """Return the address of a client, or its network if it has more addresses than are worth counting."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), _IPV6_PREFIX), strict=False))
