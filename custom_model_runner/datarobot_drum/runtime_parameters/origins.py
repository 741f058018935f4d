"""The source that a value of a setting comes from, noted where the value is chosen."""

from enum import Enum
from typing import Any, NamedTuple


class Source(str, Enum):
    """A kind of source. Of several with a value, the first one wins."""

    FLAG = "flag"
    VARIABLE = "variable"
    PARAMETER_FILE = "runtime-params-file"
    METADATA = "model-metadata.yaml"
    PLATFORM = "platform"
    MODEL = "model"
    DEFAULT = "default"


class Origin(NamedTuple):
    """A source, and the name in it: of a flag, a variable or a key; empty for a default."""

    source: Source
    name: str = ""


DEFAULT = Origin(Source.DEFAULT)


class Found(NamedTuple):
    """A value that a source has, by which of its names, and that source."""

    name: str
    value: Any
    origin: Origin
