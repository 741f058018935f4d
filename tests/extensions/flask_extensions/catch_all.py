"""A page that is served for every path that nothing else serves."""

from flask import Flask


def init_app(app: Flask) -> None:
    @app.route("/pages/<path:path>")
    @app.route("/<path:path>", methods=["GET", "POST"])
    def page(path: str) -> str:
        return f"page {path}"
