"""Unstructured, chat and streaming models; a word in the request selects their behaviour.

Each runs one call at a time, so a slot that is not released stops the server. A generator that is closed appends its
mark to the file ``closed`` beside the model's folder.
"""

from pathlib import Path

_COMMON = """
import json
import time
from pathlib import Path

from datarobot_drum.drum.exceptions import CustomHTTPError

THREAD_SAFE = False


def record(mark):
    with (Path(__file__).parents[1] / "closed").open("a") as closed:
        closed.write(mark + "\\n")


def endless(item, mark):
    try:
        while True:
            yield item
            time.sleep(0.01)
    finally:
        record(mark)


async def endless_async(item, mark):
    try:
        while True:
            yield item
            time.sleep(0.01)
    finally:
        record(mark)


def failing(*items, error):
    yield from items
    raise error


async def asynchronous(*items):
    for item in items:
        yield item


"""

UNSTRUCTURED = (
    _COMMON
    + '''
class Lines:
    """An iterator that is no generator."""

    def __init__(self):
        self.lines = iter(["one\\n", "two\\n"])

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.lines)


def score_unstructured(model, data, query, headers, **kwargs):
    action = query.get("action", "show")
    return ACTIONS[action](data, query, headers, kwargs)


def show(data, query, headers, keywords):
    seen = {"type": type(data).__name__, "data": data if isinstance(data, str) else data.hex()}
    return json.dumps({**seen, "query": query, **keywords}), {"mimetype": "application/json"}


def show_headers(data, query, headers, keywords):
    found = {name: headers.get(name) for name in ("x-one", "X-ONE", "X-One", "missing")}
    return json.dumps({"names": sorted(headers), "found": found, "type": headers.get("content-type")})


def fail(error):
    def raise_it(*ignored):
        raise error

    return raise_it


def response(value):
    return lambda *ignored: value


ACTIONS = {
    "show": show,
    "headers": show_headers,
    "echo": lambda data, *ignored: data,
    "text": response("tëxt"),
    "bytes": response(b"\\x00\\xff"),
    "bytearray": response(bytearray(b"\\x00\\xff")),
    "empty": response(""),
    "mimetype": response(("<p>ä</p>", {"mimetype": "text/html"})),
    "charset": response(("ä", {"charset": "latin-1"})),
    "both": response(("ä", {"mimetype": "text/x", "charset": "utf-16"})),
    "binary-charset": response((b"\\xe4", {"charset": "latin-1"})),
    "none": response(None),
    "none-typed": response((None, {"mimetype": "text/x"})),
    "number": response(5),
    "list": response(["a", "b"]),
    "triple": response(("a", {}, {})),
    "bad-details": response(("a", "text/html")),
    "bad-charset": response(("a", {"charset": "klingon"})),
    "no-text-charset": response(("a", {"charset": "hex"})),
    "unencodable": response(("日本", {"charset": "latin-1"})),
    "split-header": response(("a", {"mimetype": "text/x\\r\\nX-Evil: yes"})),
    "wide-header": response(("a", {"mimetype": "text/日本"})),
    "raise": fail(ValueError("the model said no")),
    "teapot": fail(CustomHTTPError("short and stout", 418)),
    "stream": lambda *ignored: (part for part in ["ä", b"\\xff", "", "c"]),
    "stream-bytes": lambda *ignored: iter([b"a", b"b"]),
    "stream-lines": lambda *ignored: Lines(),
    "stream-async": lambda *ignored: asynchronous("a", "ä"),
    "stream-typed": lambda *ignored: (iter(["a", "b"]), {"mimetype": "text/x", "charset": "utf-16"}),
    "stream-large": lambda *ignored: (bytes([n]) * 100_000 for n in range(50)),
    "stream-empty": lambda *ignored: iter([]),
    "stream-fails-first": lambda *ignored: failing(error=ValueError("not even one")),
    "stream-teapot-first": lambda *ignored: failing(error=CustomHTTPError("short and stout", 418)),
    "stream-number-first": lambda *ignored: iter([5]),
    "stream-fails-later": lambda *ignored: failing("a", "b", error=ValueError("no more")),
    "stream-number-later": lambda *ignored: iter(["a", 5]),
    "endless": lambda data, query, *ignored: endless("x" * 1000, query["mark"]),
    "endless-async": lambda data, query, *ignored: endless_async("x" * 1000, query["mark"]),
}
'''
)

FILE = '''
"""Takes the body as a file."""

import hashlib


def score_unstructured(model, data, *, file, charset=None, mimetype=None, **kwargs):
    assert data is None and file.tell() == 0
    digest = hashlib.sha256()
    size = 0
    while piece := file.read(65536):
        digest.update(piece)
        size += len(piece)
    file.seek(0)
    return f"{size} {digest.hexdigest()} {mimetype} {charset} {len(file.readline())}"
'''

CHAT = (
    _COMMON
    + """
from openai.types.chat import ChatCompletion, ChatCompletionChunk

FIRST = {"id": "chatcmpl-1", "created": 1700000000, "model": "echo"}
TOOL_CALL = {"id": "call-1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}


def completion(message, finish_reason="stop"):
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish_reason}
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    return {**FIRST, "object": "chat.completion", "choices": [choice], "usage": usage}


def chunk(text, finish_reason=None):
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish_reason}
    return {**FIRST, "object": "chat.completion.chunk", "choices": [choice]}


def chunks(text):
    yield from (chunk(word) for word in text.split(" "))
    yield chunk("", "stop")


def chat(completion_create_params, model, headers):
    text = completion_create_params["messages"][-1]["content"]
    action, _, rest = text.partition(":")
    if action in ACTIONS:
        return ACTIONS[action](rest, completion_create_params, headers)
    if completion_create_params.get("tools"):
        return ChatCompletion.model_validate(completion({"content": None, "tool_calls": [TOOL_CALL]}, "tool_calls"))
    if completion_create_params.get("stream"):
        return chunks(text)
    return completion({"content": text})


def fail(error):
    def raise_it(*ignored):
        raise error

    return raise_it


ACTIONS = {
    "pydantic": lambda text, *ignored: ChatCompletion.model_validate(completion({"content": text})),
    "pydantic-chunks": lambda text, *ignored: (ChatCompletionChunk.model_validate(item) for item in chunks(text)),
    "pydantic-choices": lambda text, *ignored: {
        **completion({}),
        "choices": ChatCompletion.model_validate(completion({"content": text})).choices,
    },
    "async": lambda text, *ignored: asynchronous(*chunks(text)),
    "whole": lambda text, *ignored: completion({"content": text}),
    "header": lambda text, params, headers: completion({"content": headers.get(text)}),
    "model": lambda text, params, headers: completion({"content": str(params.get("model"))}),
    "parameters": lambda text, params, headers: completion({"content": json.dumps(params, sort_keys=True)}),
    "association": lambda text, *ignored: {**completion({"content": text}), "datarobot_association_id": "mine"},
    "none": lambda *ignored: None,
    "number": lambda *ignored: 1,
    "unfit": lambda *ignored: {"id": object()},
    "raise": fail(ValueError("the model said no")),
    "surrogate": fail(CustomHTTPError("\\ud800 is half a letter", 422)),
    "teapot": fail(CustomHTTPError("short and stout", 418)),
    "slow-down": fail(CustomHTTPError("slow down", 429, headers={"Retry-After": "7"})),
    "empty-stream": lambda *ignored: iter([]),
    "fails-first": lambda *ignored: failing(error=ValueError("not even one")),
    "teapot-first": lambda *ignored: failing(error=CustomHTTPError("short and stout", 418)),
    "none-first": lambda text, *ignored: (item for item in [None]),
    "fails-later": lambda *ignored: failing(chunk("a"), chunk("b"), error=ValueError("no more \\ud800")),
    "teapot-later": lambda *ignored: failing(chunk("a"), error=CustomHTTPError("short and stout", 418)),
    "none-later": lambda *ignored: iter([chunk("a"), None]),
    "endless": lambda text, *ignored: endless(chunk("x" * 1000), text),
    "endless-async": lambda text, *ignored: endless_async(chunk("x" * 1000), text),
}
"""
)

MODELS = """
def get_supported_llm_models(model):
    from openai.types import Model

    listed = Model(id="listed", created=1, object="model", owned_by="us")
    return [listed, {"id": "a dict", "created": 2, "max_tokens": 100}, "a string"]
"""

SCORE_ONLY = """
def score(data, model, **kwargs):
    return [f"You said: {text}" for text in data["promptText"]]
"""

STREAM = (
    _COMMON
    + """
import pandas as pd


def score(data, model, **kwargs):
    return pd.DataFrame({"Predictions": data["x"] * 2.0, "extra": data["x"].astype(str)})


def score_stream(data, model, **kwargs):
    return ACTIONS[data["action"].iloc[0]](data)


def frame(*values, **more):
    return pd.DataFrame({"Predictions": [float(value) for value in values], **more})


ACTIONS = {
    "text": lambda data: iter(["Hello ", "wörld", "\\n"]),
    "bytes": lambda data: iter([b"\\x00", b"\\xff"]),
    "mixed": lambda data: iter(["a", b"b"]),
    "frames": lambda data: iter([frame(1, 2), frame(), frame(3)]),
    "extra": lambda data: iter([frame(1, more=["a"]), frame(2, more=["ü,"])]),
    "missing": lambda data: iter([frame(1, "nan", "inf")]),
    "async": lambda data: asynchronous("a", "ä"),
    "async-frames": lambda data: asynchronous(frame(1), frame(2)),
    "none": lambda data: iter([]),
    "no-rows": lambda data: iter([frame(), frame()]),
    "list": lambda data: [1],
    "fails-first": lambda data: failing(error=ValueError("not even one")),
    "teapot-first": lambda data: failing(error=CustomHTTPError("short and stout", 418)),
    "number-first": lambda data: iter([5]),
    "fails-later": lambda data: failing(frame(1), frame(2), error=ValueError("no more")),
    "teapot-later": lambda data: failing("a", error=CustomHTTPError("short and stout", 418)),
    "number-later": lambda data: iter(["a", 5]),
    "kinds": lambda data: iter([frame(1), "a"]),
    "endless": lambda data: endless("x" * 1000, data["mark"].iloc[0]),
    "endless-async": lambda data: endless_async("x" * 1000, data["mark"].iloc[0]),
    "endless-frames": lambda data: endless(frame(*range(100)), data["mark"].iloc[0]),
}
"""
)

BLOCKS = """
import pandas as pd


def score(data, model, **kwargs):
    return pd.DataFrame({"Predictions": data["a"] * 0.5, "whole": data["b"], "text": data["c"] + "\\u00e4"})
"""


def has_recorded(folder: Path, mark: str) -> bool:
    """Return whether a model in ``folder`` has recorded ``mark``."""
    closed = folder / "closed"
    return closed.exists() and mark in closed.read_text().splitlines()
