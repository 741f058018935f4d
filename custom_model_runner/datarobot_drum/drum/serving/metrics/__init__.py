"""Measures the process and its requests for the statistics route."""
