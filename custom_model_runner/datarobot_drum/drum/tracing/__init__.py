"""Spans of OpenTelemetry: one a request, at no cost while nobody takes them."""
