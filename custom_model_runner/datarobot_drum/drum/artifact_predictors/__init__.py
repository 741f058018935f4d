"""How a framework's model file is loaded and asked: one module a framework.

``registry`` is the table of them. It names each by an import string, so a framework is imported only when a file of
its kind is there. To add one: a module with an ``ArtifactPredictor`` and a line in the table.
"""
