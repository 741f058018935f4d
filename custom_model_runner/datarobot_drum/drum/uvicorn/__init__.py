"""The process model of the FastAPI server: one uvicorn server, or a supervisor over several."""
