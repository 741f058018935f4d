"""List the names that a pickle imports, without importing or calling any of them.

The file is read by the interpreter's own unpickler, with every imported name replaced by a placeholder. So memo tricks,
nested pickles, and the raw arrays that joblib writes between the opcodes are read as they are when the file is loaded.
"""

from __future__ import annotations

import _compat_pickle
import pickle
import re
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, ClassVar

import numpy as np

from datarobot_drum.drum.imports import import_from_string

ARRAY_WRAPPER = ("joblib.numpy_pickle", "NumpyArrayWrapper")
_SIMPLE_DTYPE = re.compile(r"[|<>=]?[a-zA-Z]\d*")
_FLEXIBLE_KINDS = "SUV"
_HAS_OBJECTS = 1
"""The flag of a data type that refers to Python objects."""

_SKIP_BYTES = 1 << 20
_FIRST_PROTOCOL_OF_PYTHON_3 = 3
_MAX_DEPTH = 50


class LimitedReader:
    """Reads at most ``limit`` bytes of a file in all, so that a compressed file cannot expand without end."""

    def __init__(self, file: BinaryIO, limit: int) -> None:
        self._file = file
        self._left = limit

    def read(self, size: int) -> bytes:
        """Return ``size`` bytes, in steps: a pickle may declare more than the file has.

        Raises:
            EOFError: the file is shorter.
            ValueError: the limit is exceeded.
        """
        self._left -= size
        if self._left < 0:
            raise ValueError("it expands to too many bytes")
        content = bytearray()
        while len(content) < size:
            chunk = self._file.read(min(size - len(content), _SKIP_BYTES))
            if not chunk:
                raise EOFError("it is truncated")
            content += chunk
        return bytes(content)

    def readline(self) -> bytes:
        line = self._file.readline(_SKIP_BYTES)
        self._left -= len(line)
        return line

    def skip(self, size: int) -> None:
        for start in range(0, size, _SKIP_BYTES):
            self.read(min(_SKIP_BYTES, size - start))


class _Placeholder:
    """Stands for an imported name, and for everything that it would create."""

    def __new__(cls, *values: Any, **options: Any) -> Any:
        return object.__new__(_Placeholder)

    def __init__(self, *values: Any, **options: Any) -> None:
        if _ArrayWrapper in values:
            raise ValueError("it creates an array of joblib in another way than joblib")

    def __call__(self, *values: Any, **options: Any) -> _Placeholder:
        return _Placeholder(*values)

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, value: Any) -> None:
        pass

    def extend(self, values: Any) -> None:
        pass

    def add(self, value: Any) -> None:
        pass


class _Dtype(_Placeholder):
    """A NumPy data type, as far as the size of its raw values needs it."""

    def __new__(cls, code: Any = "", *rest: Any) -> Any:
        return object.__new__(_Dtype)

    def __init__(self, code: Any = "", *rest: Any) -> None:
        if not isinstance(code, str) or not _SIMPLE_DTYPE.fullmatch(code):
            raise ValueError("it has an unusual data type")
        known = np.dtype(code)
        self.size, self.has_objects, self.is_flexible = known.itemsize, known.hasobject, known.kind in _FLEXIBLE_KINDS

    def __setstate__(self, state: Any) -> None:
        _, _, base, names, fields, size, _, flags, *_ = state
        if self.is_flexible:
            self.size = size
        parts = [base[0]] if base else [fields[name][0] for name in names or ()]
        self.has_objects = self.has_objects or any(part.has_objects for part in parts)
        if self.has_objects != bool(flags & _HAS_OBJECTS):
            raise ValueError("it has an inconsistent data type")


class _ImportedDtype(_Placeholder):
    """Stands for ``numpy.dtype`` itself."""

    def __new__(cls) -> Any:
        return object.__new__(_ImportedDtype)

    def __call__(self, *values: Any, **options: Any) -> _Dtype:
        return _Dtype(*values)


class _ArrayWrapper(_Placeholder):
    """An array of joblib: its raw values, or a nested pickle, follow in the file."""

    def __new__(cls, *values: Any) -> Any:
        return object.__new__(_ArrayWrapper)

    def __setstate__(self, state: Any) -> None:
        self.state = state


_Unpickler: Any = import_from_string("pickle:_Unpickler")
"""The unpickler that is written in Python, which joblib uses, too; type checkers do not know it."""


class _Tracer(_Unpickler):  # type: ignore[misc]
    """An unpickler that records imported names."""

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(_Unpickler.dispatch)

    def __init__(self, file: LimitedReader, names: list[tuple[str, str]], depth: int = 0) -> None:
        super().__init__(file)
        if depth > _MAX_DEPTH:
            raise ValueError("its pickles are nested too deeply")
        self._source, self._names, self._depth = file, names, depth

    def find_class(self, module: str, name: str) -> Any:
        if self.proto < _FIRST_PROTOCOL_OF_PYTHON_3:
            module, name = _compat_pickle.NAME_MAPPING.get((module, name), (module, name))
            module = _compat_pickle.IMPORT_MAPPING.get(module, module)
        self._names.append((module, name))
        if (module, name) == ("numpy", "dtype"):
            return _ImportedDtype()
        if (module, name) == ARRAY_WRAPPER and not self._depth:
            return _ArrayWrapper
        if name.rpartition(".")[2].endswith("ArrayWrapper"):
            raise ValueError(f"it holds {module}.{name}, which this version of joblib does not write there")
        return _Placeholder()

    def persistent_load(self, pid: Any) -> Any:
        return _Placeholder()

    def load_build(self) -> None:
        super().load_build()
        if isinstance(self.stack[-1], _ArrayWrapper):
            self._skip_array(self.stack[-1].state)
            self.stack[-1] = _Placeholder()

    dispatch[pickle.BUILD[0]] = load_build

    def _skip_array(self, state: dict[str, Any]) -> None:
        dtype = state["dtype"]
        if dtype.has_objects:
            _Tracer(self._source, self._names, self._depth + 1).load()
            return
        if state.get("numpy_array_alignment_bytes") is not None:
            self._source.read(self._source.read(1)[0])
        count = 1
        for length in state["shape"]:
            count *= int(length)
        self._source.skip(count * dtype.size)


def imported_names(file: BinaryIO, limit: int) -> Iterator[tuple[str, str]]:
    """Yield module and name of every import of the first pickle in a file, each once.

    Raises:
        ValueError: the file cannot be read to its end as a pickle.
    """
    names: list[tuple[str, str]] = []
    try:
        _Tracer(LimitedReader(file, limit), names).load()
    except Exception as error:  # a malformed file, or one that placeholders do not fit, may fail in any way
        raise ValueError(str(error) or type(error).__name__) from error
    yield from dict.fromkeys(names)
