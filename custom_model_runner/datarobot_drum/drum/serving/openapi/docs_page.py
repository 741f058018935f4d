"""The handlers of ``/openapi.json``, ``/docs`` and ``/playground``.

The page ``/docs`` is Swagger UI. Its files come from an installed package, so a browser needs no other server. Content
security policies forbid requests to others.
"""

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from datarobot_drum.drum.exceptions import NotFound
from datarobot_drum.drum.language_predictors.base import BasePredictor
from datarobot_drum.drum.serving.messages import ModelRequest, ModelResponse
from datarobot_drum.drum.serving.model_state import ModelState, Phase
from datarobot_drum.drum.serving.openapi.playground_page import playground_page
from datarobot_drum.drum.serving.routes import PLAYGROUND_ROUTE, path_variants
from datarobot_drum.drum.settings.access import OPEN, AccessSettings
from datarobot_drum.drum.settings.build import ModelSettings
from datarobot_drum.drum.tabular.readable_formats import readable_formats
from datarobot_drum.version import __version__

if TYPE_CHECKING:
    from datarobot_drum.drum.serving.openapi.model_card import ModelCard
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
_NO_REFERRER = {"Referrer-Policy": "no-referrer"}
_IMMUTABLE = {"Cache-Control": "max-age=31536000, immutable", **_NO_SNIFFING}


@dataclass(frozen=True)
class DescribedModel:
    """One served model.

    Args:
        predictor: None if its files were not found.
        find_warm_up: returns the path of the sample for the warm-up.
        digest: of the model folder, as in the header ``X-Drum-Model``.
    """

    predictor: BasePredictor | None
    settings: ModelSettings
    find_warm_up: Callable[[], Path | None] = lambda: None
    digest: str = ""


class OpenApiHandlers:
    """The handlers of the documentation routes. Their content is cached for each phase of the model.

    Args:
        model: the settings of the only model, or of a routed set.
        models: the only model, or those of a routed set.
        package: contains the files of Swagger UI.
        show_details: False leaves out the values of samples.
        access: whether requests need a key, and are limited.
    """

    def __init__(
        self,
        model: ModelSettings,
        models: Sequence[DescribedModel],
        state: ModelState,
        url_prefix: str = "",
        package: str = SWAGGER_UI,
        *,
        show_details: bool = True,
        access: AccessSettings = OPEN,
    ) -> None:
        self._access = access
        self._model = model
        self._models = models
        self._state = state
        self._url_prefix = url_prefix
        self._package = package
        self._show_details = show_details
        self._describe_extension: Callable[[], Json] | None = None
        self._cards = lru_cache(maxsize=2)(self._make_cards)
        self._document = lru_cache(maxsize=2)(self._encode_document)
        self._playground_models = lru_cache(maxsize=2)(self._encode_models)

    def add_source(self, describe: "Callable[[], Json]") -> None:
        """Merge the OpenAPI document of an extension's routes, which ``describe()`` returns."""
        self._describe_extension = describe

    def open_pages(self) -> dict[str, Callable[[ModelRequest], ModelResponse]]:
        """Return the handlers, by path, of the pages that contain nothing of the model."""
        return dict.fromkeys(path_variants(PLAYGROUND_ROUTE, self._url_prefix), self.do_playground)

    def do_openapi(self, request: ModelRequest) -> ModelResponse:
        """Return the OpenAPI document."""
        return ModelResponse(self._document(self._state.phase), headers=_NO_CACHE)

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

    def do_playground(self, request: ModelRequest) -> ModelResponse:
        """Return the page to try the model, which reads ``/playground/models.json``."""
        page = playground_page(has_docs=find_spec(self._package) is not None)
        headers = {**_NO_CACHE, **_NO_SNIFFING, **_NO_REFERRER, "Content-Security-Policy": page.policy}
        return ModelResponse(page.content, "text/html; charset=utf-8", headers=headers)

    def do_playground_models(self, request: ModelRequest) -> ModelResponse:
        """Return the cards of the models."""
        return ModelResponse(self._playground_models(self._state.phase), headers=_NO_CACHE | _NO_SNIFFING)

    def _asset(self, name: str) -> bytes:
        """Return a file of Swagger UI; ``name`` must not come from a client.

        Raises:
            NotFound: the package is not installed.
        """
        spec = find_spec(self._package)
        if spec is None or spec.origin is None:
            raise NotFound("This page needs an extra: pip install 'datarobot-drum[docs]'.")
        return (Path(spec.origin).parent / "dist" / name).read_bytes()

    def _make_cards(self, phase: Phase) -> "tuple[ModelCard, ...]":
        from datarobot_drum.drum.serving.openapi.model_card import make_card
        from datarobot_drum.drum.serving.openapi.sample_file import find_sample_file

        cards = []
        for model in self._models:
            is_loaded = phase is Phase.READY and model.predictor is not None
            sample = find_sample_file(model.settings.code_dir, model.find_warm_up) if is_loaded else None
            loaded = model.predictor if is_loaded else None
            cards.append(make_card(loaded, model.settings, sample, digest=model.digest, show_cells=self._show_details))
        return tuple(cards)

    def _encode_models(self, phase: Phase) -> bytes:
        default = self._model.default_model
        document = {
            "state": phase.value,
            "default": default,
            "isRouted": bool(self._model.models),
            "server": __version__,
            "models": [card.to_json() for card in self._cards(phase)],
        }
        return orjson.dumps(document)

    def _encode_document(self, phase: Phase) -> bytes:
        # Imported here, since a start does not need these tables.
        from datarobot_drum.drum.serving.openapi.document import build_document
        from datarobot_drum.drum.serving.openapi.operations import ServedApi

        model, default = self._model, self._model.default_model
        names = tuple(own.served_name for own in model.models)
        position = names.index(default) if default in names else 0
        predictor = self._models[position].predictor
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
            model_names=names,
            default_model=default,
            needs_key=self._access.has_keys,
            has_rate_limit=self._access.rate_limit is not None,
            card=self._cards(phase)[position],
        )
        return orjson.dumps(build_document(api, self._describe_extension() if self._describe_extension else None))
