"""BentoML as in its own examples: a service of one worker whose API takes and returns an array.

``bentoml serve bentoml_app:Classifier``, or ``:BatchedClassifier`` with adaptive batching of up to ``BATCH`` requests;
``MODEL`` is the path of the estimator. BentoML adapts the batch wait itself.
"""

import os

import bentoml
import joblib
import numpy as np


@bentoml.service(workers=1, traffic={"timeout": 600})
class Classifier:
    def __init__(self) -> None:
        self.model = joblib.load(os.environ["MODEL"])

    @bentoml.api  # type: ignore[untyped-decorator]
    def predict(self, data: np.ndarray) -> np.ndarray:
        predictions: np.ndarray = self.model.predict_proba(data)
        return predictions


@bentoml.service(workers=1, traffic={"timeout": 600})
class BatchedClassifier:
    def __init__(self) -> None:
        self.model = joblib.load(os.environ["MODEL"])

    @bentoml.api(batchable=True, batch_dim=0, max_batch_size=int(os.environ.get("BATCH", "100")))  # type: ignore[untyped-decorator]
    def predict(self, data: np.ndarray) -> np.ndarray:
        predictions: np.ndarray = self.model.predict_proba(data)
        return predictions
