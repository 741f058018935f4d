"""Which of an extension's FastAPI routes must stand behind those of the server."""

from collections.abc import Callable

from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette

from datarobot_drum.drum.fastapi.extensions import take_catch_alls
from tests.cases import each_case

OWN_PATHS = {"/predict", "/predict/", "/chat/completions", "/a/b/info/"}


def _include(path: str) -> Callable[[FastAPI], None]:
    def add(app: FastAPI) -> None:
        router = APIRouter()
        router.add_api_route(path, lambda: None)
        app.include_router(router)

    return add


def _route(path: str) -> Callable[[FastAPI], None]:
    return lambda app: app.add_api_route(path, lambda: None)


CATCH_ALLS = {
    "path": _route("/{path:path}"),
    "segment": _route("/{name}"),
    "part of a path": _route("/chat/{name}"),
    "below a prefix": _route("/a/{path:path}"),
    "root mount": lambda app: app.mount("/", Starlette()),
    "mount above a path": lambda app: app.mount("/a", Starlette()),
    "included router": _include("/{path:path}"),
}
OTHERS = {
    "other path": _route("/mine"),
    "equal path": _route("/predict/"),
    "other pattern": _route("/mine/{path:path}"),
    "other mount": lambda app: app.mount("/mine", Starlette()),
    "included equal path": _include("/predict/"),
}


@each_case("name", CATCH_ALLS)
def test_catch_all_is_taken(name: str) -> None:
    app = FastAPI(openapi_url=None)
    CATCH_ALLS[name](app)
    (route,) = app.router.routes
    assert take_catch_alls(app, OWN_PATHS) == [route]
    assert app.router.routes == []


@each_case("name", OTHERS)
def test_other_route_stays(name: str) -> None:
    app = FastAPI(openapi_url=None)
    OTHERS[name](app)
    (route,) = app.router.routes
    assert take_catch_alls(app, OWN_PATHS) == []
    assert app.router.routes == [route]
