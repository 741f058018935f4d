"""The core: a request object in, a response object out.

Everything that decides about a prediction lives here, once: the route table, reading a body, admission to a thread,
the handlers, and what an exception answers. No web framework is imported, so each handler runs in a test without a
server. The adapters in ``flask/`` and ``fastapi/`` only translate.
"""
