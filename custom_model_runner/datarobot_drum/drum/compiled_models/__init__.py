"""Compiled models: a faster form of a model's prediction, proven equal to the original before it is used.

``PredictionFunction`` is the function that a bound model calls. It calls the original until a ``CompilationJob`` has
found a faster form, has proven that it predicts the same, and has activated it. See ``docs/models/compiled-models.md``.
"""
