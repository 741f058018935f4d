"""Read the samples of a request into a table.

``payload`` defines the types and imports no heavy library. Each format has one reader module, imported with the first
body of that format. Bodies are untrusted: a reader returns a table or raises ``UnprocessableInput``.
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
