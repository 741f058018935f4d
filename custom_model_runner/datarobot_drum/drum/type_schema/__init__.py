"""``typeSchema`` of model-metadata.yaml: requirements on the input and output of a model.

``constants`` defines the keywords. ``requirements`` parses the document at start and imports no heavy library.
``tables`` inspects tables of any type, ``column_kinds`` infers the kinds of a column, and ``checks`` compares them. For
a model without a schema none of it runs.
"""
