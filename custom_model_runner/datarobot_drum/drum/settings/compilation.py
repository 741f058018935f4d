"""Whether and how models are compiled."""

import dataclasses
from collections.abc import Mapping
from enum import Enum
from typing import Any

from datarobot_drum.drum.settings.declaration import parameter
from datarobot_drum.drum.settings.value_parsers import Kind


class CompileMode(str, Enum):
    """What a compiled model must prove before it is used."""

    OFF = "off"
    EXACT = "exact"
    CLOSE = "close"


@dataclasses.dataclass(frozen=True)
class CompileOptions:
    """How a model is compiled. One request in ``audit_interval`` is compared with the original; 0 compares none."""

    mode: CompileMode = CompileMode.EXACT
    audit_interval: int = 10_000


DEFAULT_COMPILATION = CompileOptions()


@dataclasses.dataclass(frozen=True)
class CompileParameters:
    """Parameters of servers and of ``drum validation``."""

    compile_mode: str = parameter(
        "DRUM_COMPILE",
        Kind.CHOICE,
        "Replace the model's prediction by a compiled form after a proof in the background: exact takes one that is "
        "equal to the last bit, close one that agrees to 1e-9, off none. Tree ensembles take the extra compile.",
        default=CompileMode.EXACT.value,
        choices=tuple(mode.value for mode in CompileMode),
        strict=True,
    )
    compile_audit: int = parameter(
        "DRUM_COMPILE_AUDIT",
        Kind.INTEGER,
        "Predict one request in so many with the compiled and the original model, and switch back to the original "
        "after a difference; 0 = never.",
        default=10_000,
        limits=(0, 1_000_000_000),
    )

    @property
    def compile_options(self) -> CompileOptions:
        return options_of({"compile_mode": self.compile_mode, "compile_audit": self.compile_audit})


def options_of(values: Mapping[str, Any]) -> CompileOptions:
    """Return the options of the parameters that are given, by their fields; the others have their defaults."""
    return CompileOptions(
        CompileMode(values.get("compile_mode", DEFAULT_COMPILATION.mode)),
        values.get("compile_audit", DEFAULT_COMPILATION.audit_interval),
    )
