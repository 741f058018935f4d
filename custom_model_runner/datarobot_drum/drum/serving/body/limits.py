"""The limits of request bodies."""

from dataclasses import dataclass

from datarobot_drum.drum.serving.body.memory_budget import UNLIMITED, MemoryBudget
from datarobot_drum.drum.serving.body.spooled_file import SPOOL_MAX_SIZE, SpooledUploadFile


@dataclass(frozen=True)
class BodyLimits:
    """Size, memory and time limits of request bodies.

    ``max_size``: largest body in bytes, 0 for no limit. ``spool_size``: bytes of one upload in memory. ``directory``:
    for temporary files. ``budget``: bytes of all uploads in memory. ``upload_timeout``: see ``BodyProgress``.
    """

    max_size: int = 0
    spool_size: int = SPOOL_MAX_SIZE
    directory: str | None = None
    budget: MemoryBudget = UNLIMITED
    upload_timeout: float = 0.0

    def new_upload(self, expected_size: int = 0) -> SpooledUploadFile:
        """Return an empty upload within these limits."""
        return SpooledUploadFile(
            max_memory=self.spool_size, directory=self.directory, budget=self.budget, expected_size=expected_size
        )
