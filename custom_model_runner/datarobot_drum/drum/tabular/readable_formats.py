"""The formats of samples that the installed packages read."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from datarobot_drum.drum.tabular.payload import PayloadFormat

_PACKAGES = {
    PayloadFormat.CSV: "pandas",
    PayloadFormat.MTX: "scipy",
    PayloadFormat.JSON: "orjson",
    PayloadFormat.JSON_LINES: "orjson",
    PayloadFormat.ARROW: "pyarrow",
    PayloadFormat.PARQUET: "pyarrow",
}


@cache
def readable_formats() -> Mapping[str, str | None]:
    """Return the formats, each with the version of the package that reads it. SciPy and PyArrow are optional."""
    formats = {payload_format.value: _version(package) for payload_format, package in _PACKAGES.items()}
    return {name: found for name, found in formats.items() if found}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
