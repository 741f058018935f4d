"""Ends a server that has stopped answering, so that whoever started it sees an exit code and starts a new one.

The watchdog is a small process of its own, the child of the process that owns the server: the only process of Flask
and of FastAPI with one worker, FastAPI's supervisor, gunicorn's master. A thread would cost less but could not run
while model code holds the interpreter, the most common way to hang; in gunicorn's master it would not survive
the forks; and in each worker it could tell its own health only. One watchdog a server asks what clients ask, the
address itself, and sees the whole tree of processes below its parent.

``owner.py`` is the side of the server, ``process.py`` that of the watchdog, ``termination.py`` how it ends a tree of
processes. Both sides hold one end of a socket pair, the line: a byte or the end of the line tells the watchdog that the
server leaves by itself; a byte in the other direction tells the server that it did not.
"""
