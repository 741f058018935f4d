"""Samples as the client sent them, and how they become a table.

``payload`` holds the types and imports nothing heavy; each format has one reader module, imported when the first
body of that format arrives. The readers take bytes from strangers: whatever those hold, the outcome is a table or
``UnprocessableInput``.
"""

from datarobot_drum.drum.tabular.payload import BinaryFile, PayloadFormat, StructuredPayload
from datarobot_drum.drum.tabular.readers import read_blocks, read_matrix, read_numeric_or_frame, read_table

__all__ = [
    "BinaryFile",
    "PayloadFormat",
    "StructuredPayload",
    "read_blocks",
    "read_matrix",
    "read_numeric_or_frame",
    "read_table",
]
