"""The model answers the sample."""

import json
import urllib.request
from pathlib import Path

SAMPLE = Path(__file__).parents[1] / "sample.txt"


def test_a_text_gets_an_answer(url: str) -> None:
    text = SAMPLE.read_text(encoding="utf-8")
    headers = {"Content-Type": "text/plain;charset=utf-8"}
    request = urllib.request.Request(f"{url}/predictUnstructured/?unit=text", text.encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert json.load(answer) == {"model": "counter", "characters": len(text), "query": {"unit": "text"}}
