"""The process model of the gunicorn server: its configuration and the hooks of its workers."""
