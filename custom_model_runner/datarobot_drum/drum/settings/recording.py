"""Parameters of what a server keeps of its predictions: the request log, and the report of slow predictions."""

import dataclasses

from datarobot_drum.drum.settings.declaration import parameter
from datarobot_drum.drum.settings.value_parsers import Kind


@dataclasses.dataclass(frozen=True)
class RecordingParameters:
    """Parameters of the request log and of slow predictions; both are off by default."""

    slow_seconds: float = parameter(
        "DRUM_SLOW_SECONDS",
        Kind.SECONDS,
        "Time after which a running prediction counts as slow: its stack, route, rows and request id are logged, and "
        "the last 20 are at /debug/slow of the management port. 0 = off.",
        default=0.0,
        limits=(0, 86_400),
    )
    record: str = parameter(
        "DRUM_RECORD",
        Kind.RECORD_FILE,
        "Write the rows and predictions of requests to files with this name, to which each worker adds a time and an "
        "id. The ending is the format: JSON lines, or Parquet (extra arrow). Empty = off.",
        default="",
        values="path that ends in .jsonl, .ndjson or .parquet",
    )
    record_rate: float = parameter(
        "DRUM_RECORD_RATE",
        Kind.NUMBER,
        "Share of the requests that are recorded, chosen at random.",
        default=1.0,
        limits=(0, 1),
    )
    record_mask: str = parameter(
        "DRUM_RECORD_MASK",
        Kind.STRING,
        "Columns that are not recorded: names, or patterns with * and ?, separated by commas; upper and lower case are "
        "the same.",
        default="",
        values="names and patterns",
    )
    record_max_size: int = parameter(
        "DRUM_RECORD_MAX_SIZE",
        Kind.SIZE,
        "Size at which a worker goes on in a new file.",
        default="100MB",
    )
    record_max_files: int = parameter(
        "DRUM_RECORD_MAX_FILES",
        Kind.INTEGER,
        "Files that are kept, of all workers together; the oldest are deleted, except those being written.",
        default=20,
        limits=(1, 1_000_000),
    )
    record_part_seconds: float = parameter(
        "DRUM_RECORD_PART_SECONDS",
        Kind.SECONDS,
        "Time after which a Parquet file is complete and can be read; a killed worker loses the rows of this time.",
        default=300.0,
        limits=(1, 86_400),
    )
