"""The types of the columns that a model takes, stated by the model itself or declared by its owner.

``columns`` defines the schema. ``conform`` converts a table to it, column by column, with the conversions in ``cells``.
``declaration`` reads and writes ``inputSchema`` of model-metadata.yaml. The cells of one request never decide a type.
"""
