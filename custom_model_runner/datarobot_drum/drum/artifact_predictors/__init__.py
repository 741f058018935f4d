"""How a framework's model file is loaded and asked: one module a framework.

``frameworks`` is the table of them. It names each by an import string, so a framework is imported only when a file of
its kind is there; ``contents`` tells the kind by the bytes, and ``registry`` searches. To add one: a module with an
``ArtifactPredictor`` and a line in the table, or a package of its own with an entry point (``plugins``).
"""
