"""Ray Serve as in its own examples: one replica that reads the request's JSON.

``python ray_serve_app.py PORT``; ``MODEL`` names the estimator. The dashboard is off, as is Ray's report of its usage.
"""

import os
import sys
from typing import Any

import joblib
import numpy as np
import ray
from ray import serve
from starlette.requests import Request


@serve.deployment(num_replicas=1, max_ongoing_requests=128)
class Classifier:
    def __init__(self, path: str) -> None:
        self.model = joblib.load(path)

    async def __call__(self, request: Request) -> dict[str, Any]:
        samples = np.asarray((await request.json())["data"])
        return {"predictions": self.model.predict_proba(samples).tolist()}


if __name__ == "__main__":
    ray.init(include_dashboard=False, num_cpus=2, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Classifier.bind(os.environ["MODEL"]), blocking=True)  # type: ignore[attr-defined]
