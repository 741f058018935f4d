"""Encodes predictions: JSON, streaming formats, chat completions, deployment format, transform parts."""
