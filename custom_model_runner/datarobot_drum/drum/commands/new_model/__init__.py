"""``drum new model``: a model folder to start from.

``templates`` holds the files: those of every model, then those of its layers, then its own, named by its target type.
They are ordinary files that the checks of this project read too; a ``$name`` in them is filled in.
"""
