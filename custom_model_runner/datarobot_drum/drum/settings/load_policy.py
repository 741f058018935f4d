"""The policy for model files that run code while they are loaded."""

import dataclasses
from enum import Enum

from datarobot_drum.drum.settings.declaration import parameter
from datarobot_drum.drum.settings.value_parsers import Kind


class PicklePolicy(str, Enum):
    """What happens with a model file that runs code while it is loaded."""

    ALLOW = "allow"
    SCAN = "scan"
    REFUSE = "refuse"


@dataclasses.dataclass(frozen=True)
class LoadParameters:
    """Parameters of servers and commands that load a model."""

    pickle_policy: str = parameter(
        "DRUM_PICKLE_POLICY",
        Kind.CHOICE,
        "Model files that run code while they are loaded, such as pickles: allow loads them; scan, which takes the "
        "extra scan, rejects those with dangerous imports; refuse rejects all. A load_model hook is not covered.",
        default=PicklePolicy.ALLOW.value,
        choices=tuple(policy.value for policy in PicklePolicy),
        strict=True,
    )
