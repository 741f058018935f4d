"""Generates text from each prompt with a chain of words, and sends every word as soon as it is there."""

import random
import time
import zlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

WORDS = 20
PAUSE = 0.05
"""Seconds that a word takes; a real model needs them for thinking."""

Chain = dict[str, list[str]]


def load_model(code_dir: str) -> Chain:
    """Which words follow a word in the text beside this file."""
    words = (Path(code_dir) / "corpus.txt").read_text(encoding="utf-8").split()
    chain: Chain = defaultdict(list)
    for word, following in zip(words, words[1:] + words[:1], strict=True):
        chain[word].append(following)
    return dict(chain)


def score(data: pd.DataFrame, model: Chain, target_name: str, **kwargs: Any) -> pd.DataFrame:
    """Whole texts, for ``/predict/``."""
    return pd.DataFrame({target_name: [" ".join(_words(prompt, model)) for prompt in data["prompt"]]})


def score_stream(data: pd.DataFrame, model: Chain, **kwargs: Any) -> Iterator[str]:
    """The same texts word by word, a line a prompt, for ``/predictionsStream/``."""
    for prompt in data["prompt"]:
        for place, word in enumerate(_words(prompt, model)):
            yield word if place == 0 else f" {word}"
            time.sleep(PAUSE)
        yield "\n"


def _words(prompt: Any, chain: Chain) -> Iterator[str]:
    """The same prompt always gives the same words."""
    chance = random.Random(zlib.crc32(str(prompt).encode("utf-8")))
    word = next((word for word in reversed(str(prompt).split()) if word in chain), min(chain))
    for _ in range(WORDS):
        word = chance.choice(chain[word])
        yield word
