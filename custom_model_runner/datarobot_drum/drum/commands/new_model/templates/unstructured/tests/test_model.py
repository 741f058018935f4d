"""The model responds to the sample."""

import json
import urllib.request
from pathlib import Path

SAMPLE = Path(__file__).parents[1] / "sample.txt"


def test_text_returns_its_length(url: str) -> None:
    text = SAMPLE.read_text(encoding="utf-8")
    headers = {"Content-Type": "text/plain;charset=utf-8"}
    request = urllib.request.Request(f"{url}/predictUnstructured/?unit=text", text.encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as response:
        assert json.load(response) == {"model": "counter", "characters": len(text), "query": {"unit": "text"}}
