"""Signatures and logs read the body before the view: whole, as a form, or a part of the stream."""

from flask import Flask, Response, g, request


def init_app(app: Flask) -> None:
    @app.before_request
    def read_body() -> None:
        how = request.headers.get("X-Read", "data")
        if how == "stream":
            g.read = len(request.stream.read(5))
        elif request.mimetype == "multipart/form-data":
            g.read = sum(len(request.form) + len(upload.read()) for upload in request.files.values())
        else:
            g.read = len(request.get_data())

    @app.after_request
    def tell(response: Response) -> Response:
        response.headers["X-Read-Bytes"] = str(g.get("read", "none"))
        return response
