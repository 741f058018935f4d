"""Execution of handlers on prediction threads: admission, queue, deadlines, streaming."""
