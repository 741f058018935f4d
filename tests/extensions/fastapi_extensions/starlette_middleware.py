"""The middleware that FastAPI brings: CORS, compression, sessions, trusted hosts."""

from fastapi import FastAPI, Request
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware


def init_app(app: FastAPI) -> None:
    app.add_middleware(GZipMiddleware, minimum_size=10)
    app.add_middleware(SessionMiddleware, secret_key="a secret of the tests")
    app.add_middleware(CORSMiddleware, allow_origins=["https://page.example"], allow_methods=["POST"])
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])

    @app.get("/visits")
    async def count_visits(request: Request) -> int:
        request.session["visits"] = request.session.get("visits", 0) + 1
        visits: int = request.session["visits"]
        return visits
