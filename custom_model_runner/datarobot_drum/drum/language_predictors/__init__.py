"""Predictors: load and call the model in a model folder.

``base`` is the interface to the core, ``factory`` creates the predictor of a model folder, ``hooks`` lists the custom
hooks, and ``output_checks`` checks what models return.
"""
