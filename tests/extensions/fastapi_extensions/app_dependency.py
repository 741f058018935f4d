"""A dependency of the whole app that asks for a key."""

from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException


async def require_key(x_key: Annotated[str, Header()] = "") -> None:
    if x_key != "the-key":
        raise HTTPException(401, "A key is needed.")


def init_app(app: FastAPI) -> None:
    app.router.dependencies.append(Depends(require_key))
