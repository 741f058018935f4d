"""Which model answers: its name, its version, and the digest of its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import quote

from datarobot_drum.drum.settings.build import ModelSettings

DIGEST_DIGITS = 12
"""Digits of the digest in headers, metrics, spans and logs."""

_MAX_TEXT = 100


@dataclass(frozen=True)
class ModelIdentity:
    """A model that a response can come from."""

    name: str
    version: str
    digest: str
    """SHA-256 of the folder, in hexadecimal digits."""

    @property
    def short_digest(self) -> str:
        return self.digest[:DIGEST_DIGITS]

    @cached_property
    def attributes(self) -> Mapping[str, str]:
        """The attributes of a span."""
        return {
            "drum.model": self.name,
            "drum.model.version": self.version,
            "drum.model.digest": self.short_digest,
        }

    @cached_property
    def header(self) -> str:
        """``name@version;digest=12 digits``; other characters than letters, digits and ``._-~`` are percent-encoded."""
        return f"{_encoded(self.name)}@{_encoded(self.version)};digest={self.short_digest}"


def identities_of(model: ModelSettings, digests: Mapping[str, str]) -> dict[str, ModelIdentity]:
    """Return the identity of the folder, by the empty name, and of each model of a routed set by its own name."""
    named = {"": model} | {own.served_name: own for own in model.models}
    return {
        name: ModelIdentity(own.served_name, own.served_version, digests.get(name, "")) for name, own in named.items()
    }


def requested_name(value: str, served_name: str) -> str | None:
    """Return the name in a request header; None for the header of a response that came from no model of the set.

    A client may send back the header of a response as it is. Version and digest are not compared.

    Args:
        served_name: of the whole set.
    """
    name, separator, _ = value.partition(";")[0].partition("@")
    is_of_a_response = bool(separator) or ";" in value
    if is_of_a_response and name == _encoded(served_name):
        return None
    return name.strip()


def _encoded(text: str) -> str:
    return quote(text[:_MAX_TEXT], safe="", errors="replace")
