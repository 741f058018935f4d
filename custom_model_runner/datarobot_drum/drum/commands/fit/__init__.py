"""``drum fit``: a ``fit`` hook trains, what it made is saved as a model folder, and that is checked by serving it."""
