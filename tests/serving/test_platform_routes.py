"""The paths that a hosting platform requests beside the route table's own."""

from datarobot_drum.drum.serving.routes import ROUTES, path_variants, probe_paths, with_platform_paths
from tests.cases import each_case


def _handlers(prefix: str, health: str, predict: str) -> dict[tuple[str, str], str]:
    return {
        (method, path): route.handler
        for route in with_platform_paths(ROUTES, prefix, health, predict)
        for path in path_variants(route, prefix)
        for method in route.methods
    }


def test_platform_paths_lie_outside_the_prefix() -> None:
    found = _handlers("/own", "/health-of-it", "/it:predict")
    assert found["GET", "/health-of-it"] == found["HEAD", "/health-of-it/"] == "do_readyz"
    assert found["POST", "/it:predict"] == "do_invocations"
    assert found["POST", "/own/invocations"] == "do_invocations"
    assert ("POST", "/own/it:predict") not in found


@each_case("health", ["/", "/ping", "/health", "/readyz"])
def test_own_health_routes_keep_their_handler(health: str) -> None:
    assert _handlers("", health, "/invocations") == _handlers("", "", "")


@each_case("path", ["/predict", "/predictions"])
def test_predict_as_the_route_of_a_platform_serves_every_kind_of_model(path: str) -> None:
    found = _handlers("", "", path)
    assert found["POST", path] == found["POST", f"{path}/"] == "do_invocations"
    assert len(found) == len(_handlers("", "", ""))


def test_one_path_may_serve_health_and_predictions() -> None:
    found = _handlers("", "/", "/")
    assert (found["GET", "/"], found["POST", "/"]) == ("do_ping", "do_invocations")


def test_health_path_of_a_platform_is_a_probe() -> None:
    assert "/h" in probe_paths("/own", with_platform_paths(ROUTES, "/own", "/h", ""))
