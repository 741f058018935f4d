"""``drum score``: predicts a file with the same core as a server, block by block, so memory stays flat.

The model gets the same column types as if the file were read as a whole. The output file appears under its name only
when it is complete.
"""
