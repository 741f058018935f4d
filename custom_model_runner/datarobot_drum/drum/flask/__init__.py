"""The Flask adapter: translates between WSGI and the core, on Werkzeug or under gunicorn."""
