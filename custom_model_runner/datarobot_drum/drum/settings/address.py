"""Parsing of ``--address`` and ``URL_PREFIX``."""

import re

from datarobot_drum.drum.exceptions import UsageError

ALL_INTERFACES = "0.0.0.0"
DEFAULT_ADDRESS = "127.0.0.1:8080"
"""Without an address only this machine can connect."""

_ADDRESS = re.compile(r"(?:(?:\[(?P<ipv6>[0-9A-Fa-f:.%\w-]+)\]|(?P<host>[^\s:/\[\]]*)):)?(?P<port>[0-9]{1,5})")
_MAX_PORT = 65_535
_PREFIX_SEGMENT = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@-]+")


def parse_address(address: str) -> tuple[str, int]:
    """Return host and port of ``host:port``, ``:port``, a bare port or ``[ipv6]:port``.

    Without a host the server listens on all IPv4 interfaces. With port 0 the system chooses one. An IPv6 host is
    returned without brackets.

    Raises:
        UsageError: the address has none of these formats.
    """
    match = _ADDRESS.fullmatch(address.strip())
    if match is None or int(match["port"]) > _MAX_PORT:
        raise UsageError(f"The address {address!r} is none of host:port, :port, [ipv6]:port, port (0 to {_MAX_PORT}).")
    return match["ipv6"] or match["host"] or ALL_INTERFACES, int(match["port"])


def reachable_host(host: str) -> str:
    """Return the host to connect to from this machine: an address of all interfaces is none."""
    return {ALL_INTERFACES: "127.0.0.1", "::": "::1"}.get(host, host)


def normalize_prefix(prefix: str) -> str:
    """Return ``URL_PREFIX`` with a leading slash and without a trailing one; "" without a prefix.

    Raises:
        UsageError: the prefix is not a valid path.
    """
    segments = [segment for segment in prefix.strip().split("/") if segment]
    for segment in segments:
        if segment in (".", "..") or not _PREFIX_SEGMENT.fullmatch(segment):
            raise UsageError(f"URL_PREFIX {prefix!r} is not a path of plain segments such as /models/mine.")
    return "".join(f"/{segment}" for segment in segments)
