"""Prepares requests that are passed on to an inference engine."""
