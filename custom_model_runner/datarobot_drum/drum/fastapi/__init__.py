"""The FastAPI adapter: translates between ASGI and the core, on uvicorn."""
