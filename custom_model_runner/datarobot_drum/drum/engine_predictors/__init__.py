"""Models served by an inference engine beside this server (NIM, vLLM): chat, list of models, health.

``client.engine_errors`` translates the errors of httpx, also for the proxy, which forwards requests to the engine.
"""
