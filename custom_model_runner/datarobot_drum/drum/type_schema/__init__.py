"""``typeSchema`` of model-metadata.yaml: what a model takes and gives.

``vocabulary`` is the words, ``requirements`` reads the document at start and imports nothing heavy, ``tables`` tells
what is in a table, whatever its form, ``column_kinds`` which kinds a column may be, and ``checks`` holds one against
the other. For a model without a schema none of it runs.
"""
