"""How to talk to a model in one language.

``base`` is the interface that the core knows, ``factory`` finds out what is in a model folder, ``hooks`` is the list of
custom hooks, and ``output_checks`` is what a model's answer must look like.
"""
