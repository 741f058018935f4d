"""The subcommands of ``drum``, a module or a package each; the registry names them without importing one.

A command is a function that takes the ``Arguments`` and returns the exit code: 0 for success, 1 for a failure. An
error that prevents its work is raised as ``StartupError``, whose text is one sentence for the terminal and which has
its own exit code.
"""
