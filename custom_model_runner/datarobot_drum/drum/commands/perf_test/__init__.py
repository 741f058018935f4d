"""``drum perf-test``: measures a real server under growing concurrency and request sizes."""
