"""``drum validation``: checks that a model keeps its contract, on sample data, with the core that a server has.

Each check tells one result or several, all in one table, and the report shows the rows behind a failure.
"""
