"""The model answers chats in the form of OpenAI's interface."""

import json
import urllib.request


def test_a_chat_gets_a_completion(url: str) -> None:
    question = {"model": "any", "messages": [{"role": "user", "content": "Who are you?"}]}
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/v1/chat/completions", json.dumps(question).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        completion = json.load(answer)
    assert completion["choices"][0]["message"]["content"]
