"""``PredictionServer``: the model, its threads and its life, behind whichever web framework was chosen."""
