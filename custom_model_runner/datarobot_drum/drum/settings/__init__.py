"""Settings of one process: flags, environment variables, parameters and metadata, merged once at start."""
