"""The model responds to chat requests with OpenAI chat completions."""

import json
import urllib.request


def test_chat_returns_a_completion(url: str) -> None:
    body = {"model": "any", "messages": [{"role": "user", "content": "Who are you?"}]}
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/v1/chat/completions", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as response:
        completion = json.load(response)
    assert completion["choices"][0]["message"]["content"]
