"""Reads request bodies into memory or temporary files, within limits."""
