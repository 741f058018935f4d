"""A typical app without a model server: Starlette, ``read_csv``, ``predict_proba``, ``to_json``.

``MODEL`` is the path of the pickled estimator. Parsing, predicting and encoding run in Starlette's thread pool.
"""

import io
import os
import pickle
from pathlib import Path

import pandas as pd
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

MODEL = pickle.loads(Path(os.environ["MODEL"]).read_bytes())


def predict_csv(body: bytes) -> str:
    samples = pd.read_csv(io.BytesIO(body))
    predictions = pd.DataFrame(MODEL.predict_proba(samples), columns=MODEL.classes_)
    return str(predictions.to_json(orient="records", double_precision=15))


async def predict(request: Request) -> Response:
    content = await run_in_threadpool(predict_csv, await request.body())
    return Response(content, media_type="application/json")


app = Starlette(routes=[Route("/predict", predict, methods=["POST"])])
