"""The model predicts every row of the sample."""

import csv
import json
import urllib.request
from pathlib import Path

SAMPLE = Path(__file__).parents[1] / "sample.csv"


def test_predict_returns_one_prediction_per_row(url: str) -> None:
    headers = {"Content-Type": "text/csv"}
    request = urllib.request.Request(f"{url}/predict/", SAMPLE.read_bytes(), headers)
    with urllib.request.urlopen(request, timeout=60) as response:
        predictions = json.load(response)["predictions"]
    with SAMPLE.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows
    assert len(predictions) == len(rows)
