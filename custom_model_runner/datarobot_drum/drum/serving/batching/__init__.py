"""Combines calls that are waiting into one prediction."""
