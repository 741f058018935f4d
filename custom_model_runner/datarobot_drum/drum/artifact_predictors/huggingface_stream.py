"""Generation in a thread of its own, whose text is read while it is made; closing the reader stops it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import transformers

_END = object()
_MARGIN_TOKENS = 16
"""Tokens that are decoded beyond one for each byte of a stop: special ones have no text."""


class StopWhen(transformers.StoppingCriteria):  # type: ignore[misc]  # the module may be missing
    """Ends a generation after the token during which ``is_stopped`` became true."""

    def __init__(self, is_stopped: Callable[[], bool]) -> None:
        self._is_stopped = is_stopped

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
        return _for_all_rows(input_ids, self._is_stopped())


class StopAtText(transformers.StoppingCriteria):  # type: ignore[misc]
    """Ends a generation after the token that completes one of the stops.

    transformers has the like, which fails on tokenizers of some kinds.
    """

    def __init__(self, tokenizer: Any, stops: Sequence[str], prompt_size: int) -> None:
        self._tokenizer = tokenizer
        self._stops = stops
        self._prompt_size = prompt_size
        self._window = max((len(stop.encode()) for stop in stops), default=0) + _MARGIN_TOKENS

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
        new = input_ids[0, max(self._prompt_size, input_ids.shape[1] - self._window) :]
        text = self._tokenizer.decode(new, skip_special_tokens=True)
        return _for_all_rows(input_ids, any(stop in text for stop in self._stops))


def _for_all_rows(input_ids: Any, is_stopped: bool) -> Any:
    return torch.full((input_ids.shape[0],), is_stopped, device=input_ids.device, dtype=torch.bool)


class _QueueStreamer(transformers.TextStreamer):  # type: ignore[misc]
    """Puts the text of a generation into a queue, word by word."""

    def __init__(self, tokenizer: Any, texts: queue.SimpleQueue[Any]) -> None:
        super().__init__(tokenizer, skip_prompt=True, skip_special_tokens=True)
        self._texts = texts

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        self._texts.put(text)


class GenerationThread(Iterator[str]):
    """An iterator of the texts of a generation, and a context manager that ends it.

    Args:
        stops: texts before which the generation ends.
        generate: runs the generation with a stopping criterion and a streamer; returns the number of new tokens.
    """

    def __init__(self, tokenizer: Any, stops: Sequence[str], generate: Callable[[StopWhen, Any], int]) -> None:
        self._texts: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._streamer = _QueueStreamer(tokenizer, self._texts)
        self._generate = generate
        self._stop = threading.Event()
        self._held = HeldText(stops)
        self._ended = False
        self.count = 0
        self._thread = threading.Thread(target=self._run, name="generation", daemon=True)

    def __enter__(self) -> GenerationThread:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            self.count = self._generate(StopWhen(self._stop.is_set), self._streamer)
            self._texts.put(_END)
        except BaseException as error:  # it is raised where the texts are read
            self._texts.put(error)

    def __next__(self) -> str:
        while not self._ended:
            item = self._texts.get()
            if isinstance(item, BaseException):
                raise item
            self._ended = item is _END
            if text := self._held.end() if self._ended else self._held.add(item):
                return text
        raise StopIteration


class HeldText:
    """Text up to a stop; what may be the start of a stop is held back until the next text shows it."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._text = ""
        self._is_stopped = False

    def add(self, text: str) -> str:
        """Return what is certain to come before any stop."""
        if self._is_stopped:
            return ""
        self._text += text
        cut = cut_at_stop(self._text, self._stops)
        self._is_stopped = cut != self._text
        held = 0 if self._is_stopped else max((_overlap(cut, stop) for stop in self._stops), default=0)
        certain, self._text = cut[: len(cut) - held], cut[len(cut) - held :]
        return certain

    def end(self) -> str:
        """Return the text that was held back."""
        text, self._text = self._text, ""
        return text


def cut_at_stop(text: str, stops: Sequence[str]) -> str:
    """Return the text before the first of the stops."""
    found = [position for stop in stops if (position := text.find(stop)) >= 0]
    return text[: min(found)] if found else text


def _overlap(text: str, stop: str) -> int:
    """Return the length of the longest end of the text that starts a stop."""
    return next((size for size in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:size])), 0)
