"""``drum config``: check a configuration and its model without serving.

``check`` collects what is wrong, ``report`` shows it.
"""
