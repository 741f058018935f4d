"""The model transforms every row of the sample."""

import csv
import email
import io
import urllib.request
from pathlib import Path

SAMPLE = Path(__file__).parents[1] / "sample.csv"


def test_transform_returns_every_row(url: str) -> None:
    headers = {"Content-Type": "text/csv"}
    request = urllib.request.Request(f"{url}/transform/", SAMPLE.read_bytes(), headers)
    with urllib.request.urlopen(request, timeout=60) as response:
        head = f"Content-Type: {response.headers['Content-Type']}\r\n\r\n".encode()
        form = email.message_from_bytes(head + response.read())
    (transformed,) = [
        part for part in form.walk() if part.get_param("name", header="content-disposition") == "X.transformed"
    ]
    text = str(transformed.get_payload())
    with SAMPLE.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows
    assert len(list(csv.DictReader(io.StringIO(text)))) == len(rows)
