"""``drum perf-test``: a real server, asked by a growing number of clients for more and more rows at once."""
