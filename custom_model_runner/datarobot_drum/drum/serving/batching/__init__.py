"""Micro-batching: calls that wait at the same time become one prediction."""
