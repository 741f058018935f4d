"""The sample of a model: the rows, the text or the chat of a file in its folder, to show what a request is like."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datarobot_drum.drum.exceptions import DrumError
from datarobot_drum.drum.input_schema.columns import InputSchema
from datarobot_drum.drum.settings.target_types import TargetType
from datarobot_drum.drum.tabular import PayloadFormat, StructuredPayload, read_table

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

FILE_STEM = "sample"
"""The name of the file without a warm-up sample."""

MAX_ROWS = 5
MAX_BYTES = 256 * 1024
"""Of the file; of a longer csv or text, the beginning is read."""

_FORMATS = {".csv": PayloadFormat.CSV, ".json": PayloadFormat.JSON, ".jsonl": PayloadFormat.JSON_LINES}


@dataclass(frozen=True, eq=False)
class Sample:
    """The content of a sample file: a table, a text, or a request of OpenAI's interface."""

    table: pd.DataFrame | None = None
    text: str | None = None
    request: dict[str, Any] | None = None


def find_sample_file(code_dir: Path, find_warm_up: Callable[[], Path | None]) -> Path | None:
    """Return the sample for the warm-up, else the file ``sample`` with any extension; None if neither is there."""
    with suppress(DrumError):  # it has been removed since the start
        warm_up_file = find_warm_up()
        if warm_up_file is not None:
            return warm_up_file
    found = sorted(path for path in code_dir.glob(f"{FILE_STEM}.*") if path.suffix != ".py" and path.is_file())
    return found[0] if found else None


def read_sample(path: Path | None, target_type: TargetType, schema: InputSchema) -> Sample:
    """Return the content of the sample; an empty sample if there is none that can be shown."""
    if path is None:
        return Sample()
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        return _parse(content, path.suffix.lower(), target_type, schema)
    except (DrumError, OSError, ValueError) as error:
        logger.warning("The sample %s is not shown in /openapi.json and /playground: %s", path.name, error)
        return Sample()


def _parse(content: bytes, extension: str, target_type: TargetType, schema: InputSchema) -> Sample:
    if target_type is TargetType.UNSTRUCTURED:
        text = content[:MAX_BYTES].decode("utf-8", errors="ignore" if len(content) > MAX_BYTES else "strict")
        return Sample(text=None if "\0" in text else text)
    if extension == ".json" and target_type.may_chat and len(content) <= MAX_BYTES:
        document = json.loads(content)
        if isinstance(document, dict) and {"messages", "prompt", "input"} & set(document):
            return Sample(request=document)
    payload_format = _FORMATS.get(extension)
    if payload_format is None or (len(content) > MAX_BYTES and payload_format is not PayloadFormat.CSV):
        return Sample()
    if len(content) > MAX_BYTES:
        content = content[: content.rfind(b"\n") + 1]
    payload = StructuredPayload(io.BytesIO(content), payload_format)
    return Sample(table=read_table(payload, schema).head(MAX_ROWS))
