"""Models that an inference engine beside this server answers for (NIM, vLLM): chat, its list of models, its health.

httpx is used here and nowhere below: its errors become ours in ``client.engine_errors``, for the adapters, too, which
pass requests on to the engine.
"""
