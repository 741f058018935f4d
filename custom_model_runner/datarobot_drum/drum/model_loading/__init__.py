"""Model loading: sharing between workers, fork safety and warm-up."""
