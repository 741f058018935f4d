"""What model code may import: its runtime parameters, whether its client still waits, and the version that runs it."""

from datarobot_drum.drum.cancellation import cancelled
from datarobot_drum.runtime_parameters import RuntimeParameters
from datarobot_drum.version import __version__

__all__ = ["RuntimeParameters", "__version__", "cancelled"]
