"""Load and predict with model files: one module per framework.

``frameworks`` is the table of frameworks. It names their predictors by import strings, so unused ones are not imported.
``file_detection`` detects the framework from a file's content, and ``registry`` finds the artifact and its predictor.
To add a framework: a module with an ``ArtifactPredictor`` and a row in the table, or a package with an entry point
(``plugins``).
"""
