"""Load and predict with model files: one module per framework.

``frameworks`` is the table of frameworks. It names their predictors by import strings, so unused ones are not imported.
``file_detection`` detects the framework from a file's content, and ``registry`` finds the artifact and its predictor.
``folder_contents`` and ``unserved_formats`` explain a folder without a model; ``versions``, ``requirements_file`` and
``load_hints`` explain files of other library versions.
To add a framework: a module with an ``ArtifactPredictor`` and a row in the table, or a package with an entry point
(``plugins``).
"""
