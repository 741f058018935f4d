"""prometheus-fastapi-instrumentator."""

from fastapi import FastAPI
from prometheus_fastapi_instrumentator import Instrumentator


def init_app(app: FastAPI) -> None:
    Instrumentator().instrument(app).expose(app)
