"""``typeSchema`` of model-metadata.yaml: what a model takes and gives.

``vocabulary`` is the words, ``requirements`` reads and checks the document at start and imports nothing heavy, ``tables``
tells what is in a table, whatever its form, ``column_kinds`` which kinds a column may be, and ``checks`` holds one against
the other. A model without a schema never gets here.
"""
