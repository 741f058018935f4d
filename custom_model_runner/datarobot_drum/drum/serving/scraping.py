"""The response to a scrape of Prometheus, on the main port and on the management port.

Nothing is imported for it before the first scrape.
"""

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

from datarobot_drum.drum.exceptions import NotFound
from datarobot_drum.drum.serving.metrics.recorder import ServerCells

if TYPE_CHECKING:
    from datarobot_drum.drum.serving.metrics.exposition import Scrape

PACKAGE = "prometheus_client"
MISSING_EXTRA = "Metrics need the extra metrics: pip install 'datarobot-drum[metrics]'."


def has_extra() -> bool:
    """Return whether prometheus-client is installed; does not import it."""
    return find_spec(PACKAGE) is not None


def scrape_server(server: ServerCells, directory: str | None, accept: str = "") -> "Scrape":
    """Return the metrics of a server.

    Args:
        directory: of the files that prometheus-client writes for model code; None without one.
        accept: the header of the request.

    Raises:
        NotFound: the extra is not installed.
    """
    if not has_extra():
        raise NotFound(MISSING_EXTRA)
    from datarobot_drum.drum.serving.metrics.exposition import scrape
    from datarobot_drum.drum.serving.route_labels import all_labels

    return scrape(server, all_labels(), directory, accept)


def merge_dead_files(directory: str | None) -> None:
    """Merge what ended workers have left of the metrics of model code, so that files do not add up without scrapes."""
    if directory is None or PACKAGE not in sys.modules:  # then there are no files
        return
    from datarobot_drum.drum.serving.metrics.model_files import ModelFiles

    ModelFiles(directory).merge_dead()
