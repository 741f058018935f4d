"""The process around a server: signals, sockets, logs, worker context and output."""
