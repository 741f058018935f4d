"""A stub server of the standard library with configurable responses."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Write = Callable[[BaseHTTPRequestHandler], None]


class StubServer(ThreadingHTTPServer):
    """Records the bodies of requests; ``write`` responds to each."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, write: Write) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.write = write
        self.bodies: list[bytes] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: StubServer

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.write(self)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@contextmanager
def running_stub(write: Write) -> Iterator[StubServer]:
    """Run a stub server in a thread."""
    with StubServer(write) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def write_plain(handler: BaseHTTPRequestHandler, status: int = 200) -> None:
    """Write a response with a length."""
    handler.send_response(status)
    handler.send_header("Content-Length", "5")
    handler.end_headers()
    handler.wfile.write(b"12345")


def write_closing(handler: BaseHTTPRequestHandler) -> None:
    """Write a response with a length and close the connection."""
    handler.send_response(200)
    handler.send_header("Content-Length", "2")
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(b"{}")


def write_until_closed(handler: BaseHTTPRequestHandler) -> None:
    """Write a response that ends with the connection."""
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(b"whatever")
    handler.close_connection = True


def write_chunks(handler: BaseHTTPRequestHandler) -> None:
    """Write a chunked response."""
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"3\r\nabc\r\n")
    handler.wfile.flush()
    handler.wfile.write(b"2\r\nde\r\n0\r\n\r\n")


def write_half(handler: BaseHTTPRequestHandler) -> None:
    """Write less than the declared length and close the connection."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b"half")
    handler.close_connection = True
