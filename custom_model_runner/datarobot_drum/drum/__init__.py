"""The runner: command line, settings, predictors, and the servers over one framework-free core."""
