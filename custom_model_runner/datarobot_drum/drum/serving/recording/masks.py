"""The columns that are not recorded."""

from fnmatch import fnmatchcase


class ColumnMask:
    """Names and patterns of columns; blanks around a name, and upper and lower case, make no difference.

    Args:
        text: names, or patterns with ``*`` and ``?``, separated by commas.
    """

    def __init__(self, text: str = "") -> None:
        words = [word for word in map(_plain, text.split(",")) if word]
        self._names = frozenset(words)
        # fnmatch would take a bracket for a set of characters.
        self._patterns = tuple(word.replace("[", "[[]") for word in words if "*" in word or "?" in word)

    def hides(self, name: object) -> bool:
        """Return True for a column that must not be recorded."""
        if not self._names:
            return False
        plain = _plain(str(name))
        return plain in self._names or any(fnmatchcase(plain, pattern) for pattern in self._patterns)


def _plain(name: str) -> str:
    return name.strip().casefold()
