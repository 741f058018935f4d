"""What the subcommands of ``drum`` do, a module or a folder each; the registry names them without importing one.

A command is a function that takes the ``Arguments`` and returns the exit code (cli-and-parameters.md section 8):
0 for success, 1 for a failure. What keeps it from its work it raises as ``StartupError``, whose text is one sentence
for the terminal and which knows its own code.
"""
