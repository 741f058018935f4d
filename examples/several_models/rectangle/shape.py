"""A module of this model: that of the other one has the same name."""

FACTOR = 1.0
