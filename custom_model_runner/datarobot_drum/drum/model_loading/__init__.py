"""Loads a model before or after a fork, and warms it up."""
