"""The handlers of ``/openapi.json`` and ``/docs``: the API described for programs and for people.

The page is Swagger UI, whose files come from an installed package and are served from here: no browser that shows it
needs the internet, and its policy keeps it from asking any other server.
"""

import base64
import hashlib
from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from datarobot_drum.drum.exceptions import NotFound
from datarobot_drum.drum.language_predictors.base import BasePredictor
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse
from datarobot_drum.drum.serving.model_state import ModelState, Phase
from datarobot_drum.drum.settings.build import ModelSettings

if TYPE_CHECKING:
    from datarobot_drum.drum.serving.openapi.schemas import Json

SWAGGER_UI = "flask_swagger_ui"
"""The package whose folder ``dist`` holds Swagger UI. Found, never imported: its code wants Flask."""

# The page may have any of its spellings, and lie below the prefix of a gateway that this server knows nothing of.
_SCRIPT = """
const page = "/" + location.pathname.replace(/^\\/+|\\/+$/g, "") + "/";
function add(name, properties) {
  document.head.append(Object.assign(document.createElement(name), properties));
}
function show() {
  SwaggerUIBundle({url: page + "../openapi.json", dom_id: "#docs", validatorUrl: null, deepLinking: true});
}
add("link", {rel: "stylesheet", href: page + "swagger-ui.css?v=VERSION"});
add("script", {src: page + "swagger-ui-bundle.js?v=VERSION", onload: show});
"""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>API of this model</title>
<link rel="icon" href="data:,">
</head>
<body>
<div id="docs"></div>
<script>SCRIPT</script>
</body>
</html>
"""

_REVALIDATE = {"Cache-Control": "no-cache"}
_KEEP = {"Cache-Control": "max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}


class OpenApiHandlers:
    """The routes' handlers; the document is made when it is first asked for, and again once the model has loaded.

    Args:
        package: which holds Swagger UI's files.
    """

    def __init__(
        self,
        model: ModelSettings,
        predictor: BasePredictor | None,
        state: ModelState,
        url_prefix: str = "",
        package: str = SWAGGER_UI,
    ) -> None:
        self._model = model
        self._predictor = predictor
        self._state = state
        self._url_prefix = url_prefix
        self._package = package
        self._describe_more: Callable[[], Json] | None = None
        self._encoded = lru_cache(maxsize=2)(self._encode)

    def add_source(self, describe: "Callable[[], Json]") -> None:
        """Have ``describe()``, an OpenAPI document of routes that are not of the route table, taken in as well."""
        self._describe_more = describe

    def do_openapi(self, request: ModelRequest) -> ModelResponse:
        return ModelResponse(self._encoded(self._state.phase), headers=_REVALIDATE)

    def do_docs(self, request: ModelRequest) -> ModelResponse:
        script = _SCRIPT.replace("VERSION", self._asset("VERSION").decode().strip())
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy = (
            f"default-src 'self'; script-src 'self' 'sha256-{digest}'; style-src 'self' 'unsafe-inline'; "
            "img-src 'self' data:"
        )
        page = _PAGE.replace("SCRIPT", script).encode()
        headers = {**_REVALIDATE, "Content-Security-Policy": policy}
        return ModelResponse(page, "text/html; charset=utf-8", headers=headers)

    def do_docs_script(self, request: ModelRequest) -> ModelResponse:
        return ModelResponse(self._asset("swagger-ui-bundle.js"), "text/javascript; charset=utf-8", headers=_KEEP)

    def do_docs_style(self, request: ModelRequest) -> ModelResponse:
        return ModelResponse(self._asset("swagger-ui.css"), "text/css; charset=utf-8", headers=_KEEP)

    def _asset(self, name: str) -> bytes:
        """One of Swagger UI's files; ``name`` is never a client's.

        Raises:
            NotFound: the package is not installed.
        """
        spec = find_spec(self._package)
        if spec is None or spec.origin is None:
            raise NotFound("This page needs an extra: pip install 'datarobot-drum[docs]'.")
        return (Path(spec.origin).parent / "dist" / name).read_bytes()

    def _encode(self, phase: Phase) -> bytes:
        # Not at the top: no start needs the tables behind it.
        from datarobot_drum.drum.serving.openapi.document import build_document
        from datarobot_drum.drum.serving.openapi.operations import ServedApi

        model, predictor = self._model, self._predictor
        loaded = predictor if phase is Phase.READY else None
        api = ServedApi(
            target_type=model.target_type,
            target_name=model.target_name,
            formats=tuple(loaded.payload_formats) if loaded else ("csv", "mtx"),
            reads_raw_input=loaded.reads_raw_input if loaded else False,
            has_engine=model.engine is not None,
            has_deployment=model.deployment is not None,
            can_chat=loaded.can_chat if loaded else model.target_type.may_chat,
            url_prefix=self._url_prefix,
        )
        return orjson.dumps(build_document(api, self._describe_more() if self._describe_more else None))
