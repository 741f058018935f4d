"""Generates text from each prompt with a Markov chain, and streams every word."""

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
"""Seconds per word, as a real model would need."""

Chain = dict[str, list[str]]


def load_model(code_dir: str) -> Chain:
    """Return the words that follow each word in ``corpus.txt``."""
    words = (Path(code_dir) / "corpus.txt").read_text(encoding="utf-8").split()
    chain: Chain = defaultdict(list)
    for word, following in zip(words, words[1:] + words[:1], strict=True):
        chain[word].append(following)
    return dict(chain)


def score(data: pd.DataFrame, model: Chain, target_name: str, **kwargs: Any) -> pd.DataFrame:
    """Return whole texts, for ``/predict/``."""
    return pd.DataFrame({target_name: [" ".join(_words(prompt, model)) for prompt in data["prompt"]]})


def score_stream(data: pd.DataFrame, model: Chain, **kwargs: Any) -> Iterator[str]:
    """Yield the same texts word by word, a line per prompt, for ``/predictionsStream/``."""
    for prompt in data["prompt"]:
        for position, word in enumerate(_words(prompt, model)):
            yield word if position == 0 else f" {word}"
            time.sleep(PAUSE)
        yield "\n"


def _words(prompt: Any, chain: Chain) -> Iterator[str]:
    """Yield random words that depend only on the prompt."""
    generator = random.Random(zlib.crc32(str(prompt).encode("utf-8")))
    word = next((word for word in reversed(str(prompt).split()) if word in chain), min(chain))
    for _ in range(WORDS):
        word = generator.choice(chain[word])
        yield word
