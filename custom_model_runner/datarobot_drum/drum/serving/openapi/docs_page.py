"""The handlers of ``/openapi.json`` and ``/docs``.

The page is Swagger UI. Its files come from an installed package, so a browser needs no other server. A content security
policy forbids requests to others.
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
from datarobot_drum.drum.settings.access import OPEN, AccessSettings
from datarobot_drum.drum.settings.build import ModelSettings
from datarobot_drum.drum.tabular.readable_formats import readable_formats

if TYPE_CHECKING:
    from datarobot_drum.drum.serving.openapi.schemas import Json

SWAGGER_UI = "flask_swagger_ui"
"""The package whose folder ``dist`` holds Swagger UI. It is found without importing it, since it needs Flask."""

# Paths are relative to the page: a gateway may add a prefix that this server does not know.
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
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>API of this model</title>
<link rel="icon" href="data:,">
</head>
<body>
<div id="docs"></div>
<script>SCRIPT</script>
</body>
</html>
"""

_NO_CACHE = {"Cache-Control": "no-cache"}
_NO_SNIFFING = {"X-Content-Type-Options": "nosniff"}
_IMMUTABLE = {"Cache-Control": "max-age=31536000, immutable", **_NO_SNIFFING}


class OpenApiHandlers:
    """The handlers of the documentation routes. The document is cached for each phase of the model.

    Args:
        package: contains the files of Swagger UI.
        models: names of a routed set, of which ``model`` is one.
        access: whether requests need a key, and are limited.
    """

    def __init__(
        self,
        model: ModelSettings,
        predictor: BasePredictor | None,
        state: ModelState,
        url_prefix: str = "",
        package: str = SWAGGER_UI,
        models: tuple[str, ...] = (),
        access: AccessSettings = OPEN,
    ) -> None:
        self._access = access
        self._model = model
        self._predictor = predictor
        self._state = state
        self._url_prefix = url_prefix
        self._package = package
        self._models = models
        self._describe_extension: Callable[[], Json] | None = None
        self._encoded = lru_cache(maxsize=2)(self._encode)

    def add_source(self, describe: "Callable[[], Json]") -> None:
        """Merge the OpenAPI document of an extension's routes, which ``describe()`` returns."""
        self._describe_extension = describe

    def do_openapi(self, request: ModelRequest) -> ModelResponse:
        """Return the OpenAPI document."""
        return ModelResponse(self._encoded(self._state.phase), headers=_NO_CACHE)

    def do_docs(self, request: ModelRequest) -> ModelResponse:
        """Return the page of Swagger UI."""
        script = _SCRIPT.replace("VERSION", self._asset("VERSION").decode().strip())
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy = (
            f"default-src 'self'; script-src 'self' 'sha256-{digest}'; style-src 'self' 'unsafe-inline'; "
            "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
        )
        page = _PAGE.replace("SCRIPT", script).encode()
        headers = {**_NO_CACHE, **_NO_SNIFFING, "Content-Security-Policy": policy}
        return ModelResponse(page, "text/html; charset=utf-8", headers=headers)

    def do_docs_script(self, request: ModelRequest) -> ModelResponse:
        """Return the script of Swagger UI."""
        return ModelResponse(self._asset("swagger-ui-bundle.js"), "text/javascript; charset=utf-8", headers=_IMMUTABLE)

    def do_docs_style(self, request: ModelRequest) -> ModelResponse:
        """Return the style sheet of Swagger UI."""
        return ModelResponse(self._asset("swagger-ui.css"), "text/css; charset=utf-8", headers=_IMMUTABLE)

    def _asset(self, name: str) -> bytes:
        """Return a file of Swagger UI; ``name`` must not come from a client.

        Raises:
            NotFound: the package is not installed.
        """
        spec = find_spec(self._package)
        if spec is None or spec.origin is None:
            raise NotFound("This page needs an extra: pip install 'datarobot-drum[docs]'.")
        return (Path(spec.origin).parent / "dist" / name).read_bytes()

    def _encode(self, phase: Phase) -> bytes:
        # Imported here, since a start does not need these tables.
        from datarobot_drum.drum.serving.openapi.document import build_document
        from datarobot_drum.drum.serving.openapi.operations import ServedApi

        model, predictor = self._model, self._predictor
        loaded = predictor if phase is Phase.READY else None
        api = ServedApi(
            target_type=model.target_type,
            target_name=model.target_name,
            target_names=model.target_names,
            formats=tuple(loaded.payload_formats if loaded else readable_formats()),
            reads_raw_input=loaded.reads_raw_input if loaded else False,
            has_engine=model.engine is not None,
            has_deployment=model.deployment is not None,
            can_chat=loaded.can_chat if loaded else model.target_type.may_chat,
            can_complete=loaded is not None and loaded.can_complete,
            can_embed=loaded.can_embed if loaded else model.target_type.may_chat,
            can_respond=loaded is not None and loaded.can_respond,
            url_prefix=self._url_prefix,
            model_names=self._models,
            default_model=model.default_model,
            needs_key=self._access.has_keys,
            has_rate_limit=self._access.rate_limit is not None,
        )
        return orjson.dumps(build_document(api, self._describe_extension() if self._describe_extension else None))
