"""OpenTelemetry spans: one per request, at no cost without a provider."""
