"""``python mlflow_model.py PICKLE FOLDER``: the estimator as an MLflow model that predicts probabilities."""

import pickle
import sys
from pathlib import Path

import mlflow.sklearn

if __name__ == "__main__":
    model = pickle.loads(Path(sys.argv[1]).read_bytes())
    mlflow.sklearn.save_model(model, sys.argv[2], pyfunc_predict_fn="predict_proba", pip_requirements=["scikit-learn"])
