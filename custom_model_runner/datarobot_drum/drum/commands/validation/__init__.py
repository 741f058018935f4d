"""``drum validation``: checks on sample data that a model keeps its contract, with the core of a server.

Each check yields one or more results; all are in one table, and the report shows the rows of failures.
"""
