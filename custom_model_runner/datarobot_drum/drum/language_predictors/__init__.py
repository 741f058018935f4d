"""Predictors: load and call the model in a model folder.

``base`` is the interface to the core, and ``factory`` creates the predictor of a model folder. ``hooks`` lists the
custom hooks. ``output_checks`` checks what models return.
"""
