"""Slow predictions: where they are while they run, in memory that the management port reads."""
