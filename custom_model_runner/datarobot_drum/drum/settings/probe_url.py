"""Find where the server of this environment answers probes, for a process that is not the server."""

from datarobot_drum.drum.settings.address import parse_address, reachable_host
from datarobot_drum.drum.settings.build import complete_arguments
from datarobot_drum.drum.settings.declaration import SERVE
from datarobot_drum.drum.settings.environment import parameter_from_environment, url_prefix

LIVENESS_PATH = "/livez"


def probe_url() -> str:
    """Return the URL of the liveness probe, as variables set it: the management port's, else the main port's.

    With ``DRUM_TLS_CERT`` the main port is https, the management port never is.

    Raises:
        UsageError: the address or the prefix is invalid.
        RuntimeParameterError: the management port is no number.
    """
    host, port = parse_address(complete_arguments(SERVE, {}).address or "")
    management_port = parameter_from_environment("management_port")
    prefix = "" if management_port else url_prefix()
    host = reachable_host(host)
    scheme = "https" if parameter_from_environment("tls_cert") and not management_port else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{management_port or port}{prefix}{LIVENESS_PATH}"
