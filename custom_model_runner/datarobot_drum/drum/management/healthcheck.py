"""The health check of the image: ``python -m datarobot_drum.drum.management.healthcheck``.

Reads the variables that the server reads. Flags of the server's command line are not seen: they belong to its process.
"""

import ssl
import sys
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import HTTPSHandler, ProxyHandler, build_opener

from datarobot_drum.drum.exceptions import DrumError
from datarobot_drum.drum.settings.probe_url import probe_url

TIMEOUT = 5.0


def check() -> str:
    """Request the liveness probe; return why the server is not alive, empty if it is."""
    try:
        url = probe_url()
        with build_opener(ProxyHandler({}), HTTPSHandler(context=_any_certificate())).open(
            url, timeout=TIMEOUT
        ) as response:
            return "" if response.status == 200 else f"{url} responded {response.status}"
    except HTTPError as error:
        with error:
            return f"{error.url} responded {error.code}"
    except (OSError, HTTPException, DrumError) as error:
        return str(error) or repr(error)


def _any_certificate() -> ssl.SSLContext:
    """Return a context that checks no certificate: it names the service, not this host, and may be self-signed."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def main() -> int:
    """Write the reason of a failure to standard error; return the exit code."""
    reason = check()
    if reason:
        sys.stderr.write(f"Not healthy: {reason.rstrip('.')}.\n")
    return int(bool(reason))


if __name__ == "__main__":
    sys.exit(main())
