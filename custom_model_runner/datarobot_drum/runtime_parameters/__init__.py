"""Runtime parameters of the model: sources, definitions, values and masking.

Values come from a YAML file, from ``MLOPS_RUNTIME_PARAM_<NAME>`` variables and from the defaults in
``model-metadata.yaml``. Credential values are registered here, so that all output can be masked.
"""

from datarobot_drum.runtime_parameters.masking import mask_secrets, mask_secrets_in
from datarobot_drum.runtime_parameters.store import RuntimeParameters

__all__ = ["RuntimeParameters", "mask_secrets", "mask_secrets_in"]
