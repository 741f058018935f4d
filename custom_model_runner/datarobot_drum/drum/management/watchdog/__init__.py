"""The watchdog: ends a server that has stopped responding, so that its orchestrator starts a new one.

It is a small process of its own, the child of the process that owns the server: Flask's only process, that of FastAPI
with one worker, FastAPI's supervisor, or gunicorn's master. A thread could not run while model code holds the GIL, the
most common hang. One watchdog a server requests what clients request, and sees all processes below its parent.

``owner.py`` is the server's side, ``process.py`` the watchdog's, ``termination.py`` ends a tree of processes. Both
sides hold one end of a socket pair, the control socket. A byte or its end tells the watchdog that the server stops by
itself; a byte in the other direction tells the server that the watchdog has fired.
"""
