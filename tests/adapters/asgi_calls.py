"""One ASGI call by hand: the test is the server."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

from starlette.types import ASGIApp, Message

from tests.adapters.cores import PATIENCE


class AsgiCall:
    """A request whose body arrives when the test says so. ``start`` it, then await ``finish``."""

    def __init__(
        self,
        app: ASGIApp,
        path: str = "/predict/",
        method: str = "POST",
        headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        self._app = app
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self.sent: list[Message] = []
        self._hungry = asyncio.Event()
        self.scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        self.task: asyncio.Task[None]

    def start(self) -> "AsgiCall":
        self.task = asyncio.create_task(self._call())
        return self

    async def _call(self) -> None:
        await self._app(self.scope, self._receive, self._send)

    async def _receive(self) -> Message:
        if self._incoming.empty():
            self._hungry.set()
        return await self._incoming.get()

    async def _send(self, message: Message) -> None:
        self.sent.append(message)

    def push(self, body: bytes, *, more: bool = True) -> "AsgiCall":
        """The next piece of the body arrives."""
        self._hungry.clear()
        self._incoming.put_nowait({"type": "http.request", "body": body, "more_body": more})
        return self

    def disconnect(self) -> None:
        """The client leaves."""
        self._incoming.put_nowait({"type": "http.disconnect"})

    async def swallowed(self) -> None:
        """Return once the app has taken all that has arrived and waits for more."""
        await asyncio.wait_for(self._hungry.wait(), PATIENCE)

    async def finish(self) -> "AsgiCall":
        await asyncio.wait_for(self.task, PATIENCE)
        return self

    @property
    def status(self) -> int | None:
        """Of the answer; None without one."""
        starts = [message["status"] for message in self.sent if message["type"] == "http.response.start"]
        return starts[0] if starts else None

    @property
    def headers(self) -> dict[str, str]:
        start = next(message for message in self.sent if message["type"] == "http.response.start")
        return {name.decode(): value.decode("latin-1") for name, value in start["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.sent if message["type"] == "http.response.body")

    @property
    def document(self) -> Any:
        return json.loads(self.body)
