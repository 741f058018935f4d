"""Keep the verdict on a compiled model beside its artifact, so that the next start need not prove it again.

The file holds no model: each worker makes its compiled form again and repeats a short proof. A process that can
write to the folder can also replace the pickle in it, so the verdict is no new way in.
"""

from __future__ import annotations

import json
import logging
import math
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from datarobot_drum.drum.compiled_models.file_digest import digest_of
from datarobot_drum.version import __version__

logger = logging.getLogger(__name__)

FILE_NAME = ".compiled_model.json"

_LIBRARIES = (
    "treelite",
    "scikit-learn",
    "numpy",
    "scipy",
    "pandas",
    "xgboost",
    "xgboost-cpu",
    "lightgbm",
    "skl2onnx",
    "onnxruntime",
)
_ALL_ROWS = 2**62
_MEASURED = ("1", "1000")
"""The numbers of rows for which a verdict has a speedup."""
_READABLE = 0o644


@dataclass(frozen=True)
class Verdict:
    """What was measured and proven; ``rows`` is empty if the compiled form is not used."""

    rows: range
    by: str = ""
    check: str = ""
    speedup: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""

    @property
    def info(self) -> Mapping[str, Any]:
        """What ``/info/`` shows."""
        return {"by": self.by, "check": self.check, "speedup": dict(self.speedup), "rows": self._limits}

    @property
    def is_for_all_rows(self) -> bool:
        return self._limits == (1, None)

    @property
    def rows_text(self) -> str:
        """The numbers of rows for which it is used, for the log; empty for all."""
        low, high = self._limits
        if high is not None:
            return f", used for up to {high:,} rows"
        return f", used from {low:,} rows" if low > 1 else ""

    @property
    def _limits(self) -> tuple[int, int | None]:
        return self.rows.start, None if self.rows.stop >= _ALL_ROWS else self.rows.stop - 1


class VerdictFile:
    """The verdicts on the artifact of a folder.

    Args:
        key: what else the verdict depends on, such as the mode and the method.
    """

    def __init__(self, artifact: Path, key: str) -> None:
        self._artifact = artifact
        self._path = artifact.parent / FILE_NAME
        self._key = key

    def read(self) -> Verdict | None:
        """Return the verdict for this artifact, these libraries and this processor; None without a valid one."""
        try:
            content = json.loads(self._path.read_bytes())
            if content["key"] != self._full_key():
                return None
            start, stop = map(int, content["rows"])
            speedup = {rows: float(content["speedup"][rows]) for rows in (_MEASURED if stop > start else ())}
            if not all(map(math.isfinite, speedup.values())):
                return None
            by, check, reason = (str(content[name]) for name in ("by", "check", "reason"))
            return Verdict(range(start, stop), by, check, speedup, reason)
        except (OSError, ValueError, ArithmeticError, LookupError, TypeError, AttributeError, RecursionError):
            return None

    def write(self, verdict: Verdict) -> None:
        """Replace the file; a folder that is not writable keeps none."""
        content = {
            "key": self._full_key(),
            "rows": [verdict.rows.start, verdict.rows.stop],
            "by": verdict.by,
            "check": verdict.check,
            "speedup": dict(verdict.speedup),
            "reason": verdict.reason,
        }
        temporary = None
        try:
            # Workers, and other containers with the same folder, may write at the same time.
            with NamedTemporaryFile("w", dir=self._path.parent, prefix=FILE_NAME, delete=False) as file:
                temporary = Path(file.name)
                json.dump(content, file)
            temporary.chmod(_READABLE)
            temporary.replace(self._path)
        except OSError as error:
            logger.debug("The verdict on the compiled model is not kept: %s.", error)
            if temporary is not None:
                temporary.unlink(missing_ok=True)

    def _full_key(self) -> str:
        libraries = " ".join(f"{name}={_version(name)}" for name in _LIBRARIES)
        machine = f"{platform.machine()} {_processor()} {platform.python_version()} {os.cpu_count()}"
        return f"{digest_of(self._artifact)} {__version__} {libraries} {machine} {self._key}"


@cache
def _processor() -> str:
    """Return the processor's model: the kernels of NumPy and of the C library, and so last bits, depend on it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
