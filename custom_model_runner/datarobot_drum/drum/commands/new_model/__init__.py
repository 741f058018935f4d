"""``drum new model``: writes a model folder to start from.

``templates`` contains the files: common ones, those of layers, and those of each target type. They are valid files
that the checks of this project read, too; a ``$name`` in them is substituted.
"""
