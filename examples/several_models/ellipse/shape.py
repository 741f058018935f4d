"""A module of this model: that of the other one has the same name."""

from math import pi

FACTOR = pi / 4
