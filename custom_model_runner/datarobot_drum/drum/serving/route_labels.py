"""The label ``route`` of requests: the template of a route below the URL prefix, never the path that was requested."""

from collections.abc import Sequence

from datarobot_drum.drum.serving.metrics.families import OTHER
from datarobot_drum.drum.serving.routes import ROUTES, Route, path_variants, traced_patterns, traced_subpath_routes
from datarobot_drum.drum.serving.v2.grpc_paths import TRACED_PATHS


def all_labels() -> tuple[str, ...]:
    """Return every label that there can be, in an order that all processes of a server have; "other" comes first."""
    paths = {path for route in ROUTES if not route.is_probe for path in route.paths}
    subpaths = {template for _, template in traced_subpath_routes("").values()}
    return (OTHER, *sorted(paths | subpaths | set(TRACED_PATHS)))


class RouteLabels:
    """Finds the label of a path.

    Args:
        prefix: the URL prefix, which is no part of a label.
        routes: the route table, with the paths that the hosting platform requests.
    """

    def __init__(self, prefix: str = "", routes: Sequence[Route] = ROUTES) -> None:
        self._labels = {path: path for path in TRACED_PATHS}
        for route in routes:
            own = {variant: path for path in route.paths for variant in (prefix + path, f"{prefix}{path}/")}
            # A path that the hosting platform adds has the label of its route.
            platform = dict.fromkeys(path_variants(route, prefix), route.paths[0] or "/")
            self._labels |= {path: label for path, label in (platform | own).items() if not route.needs_subpath}
        self._subpaths = {base: template for base, (_, template) in traced_subpath_routes(prefix).items()}
        self._patterns = {pattern: template for pattern, (_, template) in traced_patterns(prefix).items()}
        self._prefix = prefix

    def find(self, path: str) -> str:
        """Return the label; "other" for an unknown path, and for the routes of an extension."""
        label = self._labels.get(path)
        if label is not None:
            return label
        template = next((found for base, found in self._subpaths.items() if path.startswith(base)), None)
        template = template or next((found for it, found in self._patterns.items() if it.fullmatch(path)), OTHER)
        return template.removeprefix(self._prefix)
