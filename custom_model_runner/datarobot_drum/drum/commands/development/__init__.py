"""``drum server`` for development: ``--reload`` and ``--open``.

``reloader`` supervises the server process, which runs ``reloaded_server``. ``page_opener`` waits for a server and opens
its page.
"""
