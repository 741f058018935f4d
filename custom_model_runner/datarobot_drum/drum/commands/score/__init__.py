"""``drum score``: predicts a file with the same core as a server, block by block, so memory stays flat.

What the model sees is what it would see if the file were read as a whole: the types of a column are those of all its
values. The result appears under its name when it is complete, and not before.
"""
