"""Servers with a management port, one a test."""

from tests.resilience.conftest import model, spool, start

__all__ = ["model", "spool", "start"]
