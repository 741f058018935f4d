"""``drum fit``: trains with the ``fit`` hook, saves the result as a model folder, and serves it to check it."""
