"""Ray Serve as in its own examples: one replica that reads the request's JSON.

``python ray_serve_app.py PORT``; ``MODEL`` is the path of the estimator. With ``BATCH``, up to that many requests of
one row each are batched within ``BATCH_WAIT_SECONDS``. The dashboard and usage reports are off.
"""

import os
import sys
from typing import Any

import joblib
import numpy as np
import ray
from ray import serve
from starlette.requests import Request


class Classifier:
    def __init__(self, path: str) -> None:
        self.model = joblib.load(path)

    async def __call__(self, request: Request) -> dict[str, Any]:
        return {"predictions": await self.predict((await request.json())["data"])}

    async def predict(self, rows: list[list[float]]) -> list[list[float]]:
        predictions: list[list[float]] = self.model.predict_proba(np.asarray(rows)).tolist()
        return predictions


class BatchedClassifier(Classifier):
    async def __call__(self, request: Request) -> dict[str, Any]:
        (row,) = (await request.json())["data"]
        return {"predictions": [await self.predict_row(row)]}

    @serve.batch(  # type: ignore[untyped-decorator]
        max_batch_size=int(os.environ.get("BATCH", "10")),
        batch_wait_timeout_s=float(os.environ.get("BATCH_WAIT_SECONDS", "0.01")),
    )
    async def predict_row(self, rows: list[list[float]]) -> list[list[float]]:
        return await self.predict(rows)


if __name__ == "__main__":
    ray.init(include_dashboard=False, num_cpus=2, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    classifier = BatchedClassifier if "BATCH" in os.environ else Classifier
    deployment = serve.deployment(num_replicas=1, max_ongoing_requests=128)(classifier)
    serve.run(deployment.bind(os.environ["MODEL"]), blocking=True)
