"""Which requests are served: API keys, rate limit and cross-origin requests, decided in one place for all servers."""
