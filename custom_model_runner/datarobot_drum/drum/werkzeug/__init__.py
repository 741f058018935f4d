"""The process model of the Flask server: Werkzeug in this process, one prediction at a time."""
