"""The limits of request bodies."""

from collections.abc import Callable
from dataclasses import dataclass

from datarobot_drum.drum.exceptions import PayloadTooLarge
from datarobot_drum.drum.serving.body.memory_budget import UNLIMITED, MemoryBudget
from datarobot_drum.drum.serving.body.spooled_file import SPOOL_MAX_SIZE, SpooledUploadFile
from datarobot_drum.drum.settings.limits import FREE_DECODED_BYTES, InputLimits
from datarobot_drum.drum.settings.limits import UNLIMITED as UNLIMITED_INPUT


@dataclass(frozen=True)
class BodyLimits:
    """Size, memory and time limits of request bodies.

    ``max_size``: largest body in bytes, 0 for no limit. ``spool_size``: bytes of one upload in memory. ``directory``:
    for temporary files. ``budget``: bytes of all uploads in memory. ``upload_timeout``: see ``BodyProgress``.
    ``input``: limits of decoded bodies and of forms. ``on_received``: called with the bytes of each complete body.
    """

    max_size: int = 0
    spool_size: int = SPOOL_MAX_SIZE
    directory: str | None = None
    budget: MemoryBudget = UNLIMITED
    upload_timeout: float = 0.0
    input: InputLimits = UNLIMITED_INPUT
    on_received: Callable[[int], object] | None = None

    def new_upload(self, expected_size: int = 0) -> SpooledUploadFile:
        """Return an empty upload within these limits."""
        return SpooledUploadFile(
            max_memory=self.spool_size, directory=self.directory, budget=self.budget, expected_size=expected_size
        )

    def check_decoded(self, decoded: int, received: int) -> None:
        """Reject a body of which ``received`` bytes became ``decoded`` bytes.

        Raises:
            PayloadTooLarge: the decoded body, or its compression ratio, is over the limit.
        """
        size, ratio = self.input.max_decoded_size, self.input.max_compression_ratio
        if size and decoded > size:
            raise PayloadTooLarge(
                f"The decoded request body is larger than the limit of {size} bytes (DRUM_MAX_DECODED_SIZE)."
            )
        if ratio and decoded > FREE_DECODED_BYTES and decoded > ratio * received:
            raise PayloadTooLarge(
                f"The request body is compressed more than {ratio} times (DRUM_MAX_COMPRESSION_RATIO): send it with "
                "less compression, or plain."
            )
