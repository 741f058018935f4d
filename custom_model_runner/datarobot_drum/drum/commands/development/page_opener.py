"""``drum server --open``: open the playground once the server is ready.

A process of its own waits, since gunicorn's master replaces the process of the command. It leaves its parent at once
and ends when the page is open or the server has ended.
"""

import json
import logging
import os
import ssl
import subprocess
import sys
import time
import webbrowser
from dataclasses import asdict, dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection

from datarobot_drum.drum.process.logs import configure_logging
from datarobot_drum.drum.serving.routes import PLAYGROUND_ROUTE
from datarobot_drum.drum.settings.address import reachable_host
from datarobot_drum.drum.settings.build import Settings
from datarobot_drum.drum.settings.environment import has_browser

logger = logging.getLogger("drum")

MODULE = "datarobot_drum.drum.commands.development.page_opener"
_POLL_SECONDS = 0.3
_TIMEOUT = 5.0


@dataclass(frozen=True)
class Page:
    """A page of the server with this process id, at a host and port; ``prefix`` is that of its routes."""

    server: int
    host: str
    port: int
    is_tls: bool
    prefix: str
    path: str
    logging_level: str
    log_format: str

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.is_tls else 'http'}://{host}:{self.port}{self.prefix}{self.path}"


def open_when_ready(settings: Settings) -> None:
    """Let another process open the page of this server; without a browser, log its address."""
    access = settings.access
    page = Page(
        os.getpid(),
        reachable_host(settings.host),
        settings.port,
        access.tls is not None,
        settings.url_prefix,
        _path(settings),
        settings.logging_level,
        settings.server.log_format,
    )
    if not settings.port:
        logger.warning("--open has no effect: the address has no port.")
    elif access.tls is not None and access.tls.client_ca is not None:
        logger.warning("--open has no effect with DRUM_TLS_CLIENT_CA. The page is %s.", page.url)
    elif not has_browser():
        logger.info("There is no browser here for --open. The page is %s.", page.url)
    else:
        # It returns at once: the process that waits is a child of the one that is started here.
        subprocess.run([sys.executable, "-m", MODULE, json.dumps(asdict(page))], stdin=subprocess.DEVNULL, check=False)


def _path(settings: Settings) -> str:
    if settings.server.enable_docs:
        return PLAYGROUND_ROUTE.paths[0]
    logger.info("The playground is switched off (DRUM_ENABLE_DOCS): --open opens / instead.")
    return "/"


def main() -> None:
    """Leave the parent, wait for the server and open the page."""
    page = Page(**json.loads(sys.argv[1]))
    if os.fork():
        os._exit(os.EX_OK)
    os.setpgid(0, 0)  # Ctrl-C is for the server
    configure_logging(page.logging_level, page.log_format)
    while not _is_ready(page):
        if not _is_running(page.server):
            return
        time.sleep(_POLL_SECONDS)
    if webbrowser.open(page.url):
        logger.info("Opened %s.", page.url)
    else:
        logger.info("There is no browser here for --open. The page is %s.", page.url)


def _is_ready(page: Page) -> bool:
    connection = _connection(page)
    try:
        connection.request("GET", f"{page.prefix}/readyz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _connection(page: Page) -> HTTPConnection:
    if not page.is_tls:
        return HTTPConnection(page.host, page.port, timeout=_TIMEOUT)
    context = ssl.create_default_context()
    context.check_hostname = False  # the certificate names the service, not this host
    context.verify_mode = ssl.CERT_NONE
    return HTTPSConnection(page.host, page.port, timeout=_TIMEOUT, context=context)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
