"""What watches a server from outside its workers: the management port and the watchdog.

Each worker writes its state into a row of a table in shared memory (``status.py``, ``reporting.py``). The management
port's process (``process.py``, ``probes.py``) reads the table to answer probes, and uvicorn's supervisor reads it to
find hung workers; ``hang_limits.py`` holds the rule for both. ``owner.py`` is the side of the process that owns the
server.
"""
