"""The core: a request object in, a response object out.

It holds the route table, the body reader, the executor, the handlers and the error responses, each once for all
servers. No web framework is imported, so tests call handlers without a server. The adapters in ``flask/`` and
``fastapi/`` only translate.
"""
