"""BentoML as in its own examples: a service of one worker whose API takes and returns an array.

``bentoml serve bentoml_app:Classifier``; ``MODEL`` names the estimator.
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
