"""The request log: rows and predictions of requests, written to files beside the requests, never in their way."""
