"""The gRPC adapter: translates between the Open Inference Protocol's service and the core, on a port of its own.

It needs the extra ``grpc``, and runs on the event loop of a FastAPI worker. ``schema`` has the messages, ``messages``
translates them, ``server`` serves them.
"""
