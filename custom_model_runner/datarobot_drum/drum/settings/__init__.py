"""Settings of one process: arguments, environment variables, parameters and model metadata, merged once at start."""
