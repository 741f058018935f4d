"""A fake inference engine whose paths select its faults. Arguments: the port, and 1 if it is ready at start.

Routes below ``/control/`` steer the engine itself:

- ``/control/go``: release one more chunk of a held response.
- ``/control/ready``, ``/control/failing``: set the status of the health routes.
- ``/control/events``: return the recorded events as a JSON list.
"""

import asyncio
import gzip
import hashlib
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

MODELS = {"object": "list", "data": [{"id": "meta/tiny", "object": "model", "created": 1, "owned_by": "engine"}]}
TEAPOT = {"message": "täxt: no such model", "type": "NotFoundError", "param": "model", "code": 404}
MAX_KEPT_BODY = 100_000


@dataclass
class Request:
    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    size: int = 0
    digest: str = ""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def number(self) -> int:
        return int(self.path.rpartition("/")[2])

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name), "")


@dataclass
class Engine:
    ready: bool
    go: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    events: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while (request := await read_request(reader, self.events)) is not None:
                await EngineResponse(self, request, reader, writer).send()
        writer.close()


async def read_request(reader: asyncio.StreamReader, events: list[str]) -> Request | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    fields = [line.partition(":") for line in lines]
    request = Request(method, target, [(name, value.strip()) for name, _, value in fields])
    digest = hashlib.sha256()
    try:
        async for chunk in body_of(request, reader):
            request.size += len(chunk)
            digest.update(chunk)
            request.body = request.body + chunk if request.size <= MAX_KEPT_BODY else b""
    except asyncio.IncompleteReadError:
        events.append(f"truncated {request.path}")
        raise
    request.digest = digest.hexdigest()
    return request


async def body_of(request: Request, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    if request.header("transfer-encoding") == "chunked":
        while size := int(await reader.readuntil(b"\r\n"), 16):
            yield await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readuntil(b"\r\n")
        return
    left = int(request.header("content-length") or 0)
    while left:
        chunk = await reader.read(min(left, 65536))
        if not chunk:
            raise asyncio.IncompleteReadError(b"", left)
        left -= len(chunk)
        yield chunk


class EngineResponse:
    def __init__(
        self, engine: Engine, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.engine = engine
        self.request = request
        self.reader = reader
        self.writer = writer

    async def send(self) -> None:
        path = self.request.path
        if path == "/v1/chat/completions":
            await self.chat()
        elif path in ("/v1/completions", "/v1/embeddings"):
            await self.generate(path)
        elif path.startswith("/control/"):
            await self.control(path.removeprefix("/control/"))
        elif path in ("/health", "/v1/health/ready"):
            await self.send_json({"ready": self.engine.ready}, 200 if self.engine.ready else 503)
        elif path == "/v1/models":
            await self.send_json(MODELS)
        else:
            behave = getattr(self, "do_" + path.split("/")[1], self.echo)
            await behave()

    async def control(self, what: str) -> None:
        if what == "go":
            self.engine.go.release()
        elif what in ("ready", "failing"):
            self.engine.ready = what == "ready"
        await self.send_json(self.engine.events)

    # Responses

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def send_headers(self, status: int, *fields: str) -> None:
        await self.write("\r\n".join([f"HTTP/1.1 {status} X", *fields, "", ""]).encode("latin-1"))

    async def send_chunk(self, data: bytes) -> None:
        await self.write(b"%x\r\n%b\r\n" % (len(data), data))

    async def send_json(self, document: Any, status: int = 200, *fields: str) -> None:
        body = json.dumps(document).encode()
        await self.send_headers(status, "Content-Type: application/json", f"Content-Length: {len(body)}", *fields)
        if self.request.method != "HEAD":
            await self.write(body)

    async def echo(self) -> None:
        request = self.request
        await self.send_json(
            {
                "method": request.method,
                "target": request.target,
                "headers": request.headers,
                "body": request.body.decode("latin-1"),
                "size": request.size,
                "digest": request.digest,
            }
        )

    async def do_status(self) -> None:
        if self.request.number in (204, 304):
            await self.send_headers(self.request.number, "ETag: x")
        else:
            await self.send_json({"status": self.request.number}, self.request.number)

    async def do_redirect(self) -> None:
        await self.send_json({}, 307, "Location: http://127.0.0.1:9/elsewhere")

    async def do_fields(self) -> None:
        body = gzip.compress(b"packed", mtime=0)
        await self.send_headers(
            200,
            "Content-Type: text/x-odd",
            "Content-Encoding: gzip",
            f"Content-Length: {len(body)}",
            "Connection: keep-alive, X-Hop",
            "X-Hop: 1",
            "Keep-Alive: timeout=5",
            "Proxy-Authenticate: Basic",
            "Set-Cookie: a=1",
            "Set-Cookie: b=2",
            "Server: engine",
            "Date: yesterday",
            "X-Request-ID: not-yours",
            "X-Drum-Version: 0",
            "X-Own: yes",
        )
        await self.write(body)

    async def do_big(self) -> None:
        size, chunk = self.request.number, b"x" * 65536
        chunked = "chunked" in self.request.target
        await self.send_headers(200, "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}")
        for start in range(0, size, len(chunk)):
            part = chunk[: size - start]
            await (self.send_chunk(part) if chunked else self.write(part))
        if chunked:
            await self.send_chunk(b"")

    async def do_held(self) -> None:
        await self.send_headers(200, "Content-Type: text/event-stream", "Transfer-Encoding: chunked")
        for number in range(self.request.number):
            await self.engine.go.acquire()
            await self.send_chunk(b"data: %d\n\n" % number)
        await self.send_chunk(b"")

    async def do_broken(self) -> None:
        """Send 5 of the 10 bytes that the response declares."""
        if "chunked" in self.request.target:
            await self.send_headers(200, "Transfer-Encoding: chunked")
            await self.send_chunk(b"first")
        else:
            await self.send_headers(200, "Content-Length: 10")
            await self.write(b"first")
        raise ConnectionError

    async def do_killed(self) -> None:
        await self.send_headers(200, "Transfer-Encoding: chunked")
        await self.send_chunk(b"first")
        await self.engine.go.acquire()
        os._exit(9)

    async def do_mute(self) -> None:
        raise ConnectionError

    async def do_nonsense(self) -> None:
        await self.write(b"what?\r\n\r\n")
        raise ConnectionError

    async def do_port(self) -> None:
        await self.send_json({"port": self.writer.get_extra_info("peername")[1]})

    async def do_raw(self) -> None:
        """Send the bytes of the request's body as the response."""
        await self.write(self.request.body)

    async def do_silent(self) -> None:
        """Send nothing until the client disconnects."""
        self.engine.events.append("received " + self.request.path)
        await self.reader.read()
        self.engine.events.append("disconnected " + self.request.path)
        raise ConnectionError

    async def do_stalled(self) -> None:
        await self.send_headers(200, "Transfer-Encoding: chunked")
        await self.send_chunk(b"first")
        await self.do_silent()

    # OpenAI's interface

    async def chat(self) -> None:
        params = json.loads(self.request.body)
        prompt = params["messages"][-1]["content"]
        completion = {"id": "c-1", "created": 1, "model": params["model"]}
        if prompt == "refuse":
            await self.send_json({"error": TEAPOT}, 404)
        elif prompt == "refuse in an old form":
            await self.send_json({"object": "error", **TEAPOT}, 404, "Retry-After: 9")
        elif prompt == "refuse in no form":
            body = b"<html>upstream</html>"
            await self.send_headers(429, "Content-Type: text/html", f"Content-Length: {len(body)}")
            await self.write(body)
        elif params.get("stream"):
            await self.stream(prompt, completion)
        else:
            message = {"role": "assistant", "content": f"You said {prompt}."}
            choices = [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}]
            await self.send_json({**completion, "object": "chat.completion", "choices": choices, "params": params})

    async def generate(self, path: str) -> None:
        params = json.loads(self.request.body)
        shared = {"id": "c-1", "created": 1, "model": params["model"], "usage": {"prompt_tokens": 1, "total_tokens": 1}}
        if path == "/v1/completions":
            choices = [{"index": 0, "text": f"You wrote {params['prompt']}.", "finish_reason": "stop"}]
            await self.send_json({**shared, "object": "text_completion", "choices": choices})
        else:
            assert params["encoding_format"] == "float"
            data = [{"index": n, "embedding": [0.5 * len(text)]} for n, text in enumerate(params["input"])]
            await self.send_json({**shared, "object": "list", "data": data})

    async def stream(self, prompt: str, completion: dict[str, Any]) -> None:
        await self.send_headers(200, "Content-Type: text/event-stream", "Transfer-Encoding: chunked")
        await self.send_chunk(b": a comment\n\n")
        for word in prompt.split():
            if word in ("wait", "endless"):
                await self.engine.go.acquire()
            if word == "break":
                raise ConnectionError
            if word == "end":
                break
            if word == "fail":
                await self.send_event({"error": {"message": "out of memory", "type": "BadThings", "code": 507}})
            choice = {"index": 0, "delta": {"content": word}, "finish_reason": None}
            await self.send_event({**completion, "object": "chat.completion.chunk", "choices": [choice]})
        else:
            await self.send_chunk(b"data: [DONE]\n\n")
        await self.send_chunk(b"")

    async def send_event(self, document: dict[str, Any]) -> None:
        """Send an event in two chunks, with CRLF line ends."""
        data = b"event: message\r\ndata: " + json.dumps(document).encode() + b"\r\n\r\n"
        await self.send_chunk(data[:30])
        await self.send_chunk(data[30:])


async def main(port: int, ready: bool) -> None:
    engine = Engine(ready)
    server = await asyncio.start_server(engine.serve, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2] == "1"))
