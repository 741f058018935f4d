"""LitServe as in its own examples: one worker, one API server, the body decoded to an array.

``python litserve_app.py PORT``; ``MODEL`` is the path of the estimator. With ``BATCH``, up to that many requests of one
row each are batched within ``BATCH_WAIT_SECONDS``. Timeout and body limit are off, so that every workload runs.
"""

import os
import sys
from typing import Any

import joblib
import litserve
import numpy as np


class Classifier(litserve.LitAPI):  # type: ignore[misc]
    def setup(self, device: str) -> None:
        self.model = joblib.load(os.environ["MODEL"])

    def decode_request(self, request: dict[str, Any], **kwargs: Any) -> Any:
        return np.asarray(request["data"])

    def predict(self, x: Any, **kwargs: Any) -> Any:
        return self.model.predict_proba(x)

    def encode_response(self, output: Any, **kwargs: Any) -> dict[str, Any]:
        return {"predictions": output.tolist()}


class BatchedClassifier(Classifier):
    """Predicts one row per request: LitServe stacks the rows and splits the predictions."""

    def decode_request(self, request: dict[str, Any], **kwargs: Any) -> Any:
        (row,) = request["data"]
        return np.asarray(row)

    def encode_response(self, output: Any, **kwargs: Any) -> dict[str, Any]:
        return {"predictions": [output.tolist()]}


def make_api() -> Classifier:
    if "BATCH" not in os.environ:
        return Classifier()
    wait = float(os.environ["BATCH_WAIT_SECONDS"])
    return BatchedClassifier(max_batch_size=int(os.environ["BATCH"]), batch_timeout=wait)


if __name__ == "__main__":
    server = litserve.LitServer(make_api(), accelerator="cpu", workers_per_device=1, timeout=False)
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        num_api_servers=1,
        log_level="warning",
        generate_client_file=False,
        access_log=False,
    )
