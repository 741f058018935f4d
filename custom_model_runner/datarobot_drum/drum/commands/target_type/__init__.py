"""The target type of a model that shows it, for commands that are given none.

``detection`` runs ``inspection`` in a process of its own: loading a model runs code and starts threads, and a server
may have to fork later.
"""
