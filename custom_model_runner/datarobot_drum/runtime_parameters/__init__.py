"""Runtime parameters: the one room that knows how a parameter is encoded.

Values for the model come from a YAML file, from ``MLOPS_RUNTIME_PARAM_<NAME>`` variables and from the
defaults in ``model-metadata.yaml``. The server's own parameters are declared as fields of a dataclass
(``declaration``) and read from the same channels. Credential values are remembered here, so that they
can be masked wherever text leaves the process.
"""

from datarobot_drum.runtime_parameters.masking import mask_secrets, mask_secrets_in
from datarobot_drum.runtime_parameters.store import RuntimeParameters

__all__ = ["RuntimeParameters", "mask_secrets", "mask_secrets_in"]
