"""The metrics of model code, in the files that prometheus-client keeps for each process of a server.

The files of processes that have ended are merged: counters stay, gauges of one process go, and the number of files does
not grow with the number of replaced workers. A manifest makes the merge one step: it names the generation of merged
files that counts, and the files that are in it already, so that a process killed meanwhile loses and doubles nothing.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector

_LOCK, _MANIFEST, _NEW_MANIFEST = "merge.lock", "manifest.json", "manifest.json.new"
_MERGED = "merged-"
_DROPPED = ("all", "live")
"""Modes of gauges that end with their process, by their beginning."""


@dataclass(frozen=True)
class _Manifest:
    """``absorbed``: names of files whose values are in the merged files of this generation."""

    generation: int = 0
    absorbed: tuple[str, ...] = ()


class ModelFiles:
    """The files in one directory. Every method takes the lock of the directory, so processes exclude each other."""

    def __init__(self, directory: str) -> None:
        self._directory = Path(directory)

    def collect(self) -> list[Metric]:
        """Return the metrics of all processes as one; none if the directory is gone."""
        with suppress(FileNotFoundError), self._locked():
            self._merge()
            names = [str(path) for path in self._paths()]
            return list(MultiProcessCollector.merge(names)) if names else []
        return []

    def merge_dead(self) -> None:
        """Merge the files of processes that have ended."""
        with suppress(OSError), self._locked():
            self._merge()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._directory / _LOCK).open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _read_manifest(self) -> _Manifest:
        try:
            document = json.loads((self._directory / _MANIFEST).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return _Manifest()
        return _Manifest(document["generation"], tuple(document["absorbed"]))

    def _paths(self) -> list[Path]:
        """Return the files that count: those of processes, and the merged ones of the current generation.

        A file is empty until the process that creates it has set its size, or if the disk is full then.
        """
        manifest = self._read_manifest()
        return [
            path
            for path in sorted(self._directory.glob("*.db"))
            if path.name not in manifest.absorbed
            and _generation(path) in (None, manifest.generation)
            and path.stat().st_size > 0
        ]

    def _merge(self) -> None:
        self._remove_old()
        paths = self._paths()
        dead = [path for path in paths if _generation(path) is None and not _is_alive(path)]
        if not dead:
            return
        merged = [path for path in paths if _generation(path) is not None]
        generation = self._read_manifest().generation + 1
        for kind in sorted({_kind(path) for path in (*dead, *merged)}):
            if not kind.startswith(tuple(f"gauge_{mode}" for mode in _DROPPED)):
                sources = [path for path in (*merged, *dead) if _kind(path) == kind]
                self._write_merged(kind, generation, sources)
        document = {"generation": generation, "absorbed": [path.name for path in (*dead, *merged)]}
        new = self._directory / _NEW_MANIFEST
        new.write_text(json.dumps(document), encoding="utf-8")
        new.replace(self._directory / _MANIFEST)
        self._remove_old()

    def _remove_old(self) -> None:
        """Remove what the manifest says is merged, and generations that were never finished."""
        manifest = self._read_manifest()
        for path in self._directory.glob("*.db"):
            if path.name in manifest.absorbed or _generation(path) not in (None, manifest.generation):
                path.unlink()

    def _write_merged(self, kind: str, generation: int, sources: Iterable[Path]) -> None:
        values: dict[str, tuple[float, float]] = {}
        for source in sources:
            for key, value, timestamp, _ in MmapedDict.read_all_values_from_file(str(source)):
                before = values.get(key)
                values[key] = (value, timestamp) if before is None else _combine(kind, before, (value, timestamp))
        path = self._directory / f"{kind}_{_MERGED}{generation}.db"
        path.unlink(missing_ok=True)
        file = MmapedDict(str(path))
        for key, (value, timestamp) in values.items():
            file.write_value(key, value, timestamp)
        file.close()


def _combine(kind: str, first: tuple[float, float], second: tuple[float, float]) -> tuple[float, float]:
    """Combine two values of one series as prometheus-client does; sums, but for some modes of gauges."""
    mode = kind.partition("_")[2]
    if mode == "min":
        return min(first, second)
    if mode == "max":
        return max(first, second)
    if mode == "mostrecent":
        return max(first, second, key=lambda value: value[1])
    return first[0] + second[0], max(first[1], second[1])


def _kind(path: Path) -> str:
    """Return the type of the metrics in a file, with the mode of gauges: ``counter``, ``gauge_max`` ..."""
    return path.stem.rpartition("_")[0]


def _owner(path: Path) -> str:
    return path.stem.rpartition("_")[2]


def _generation(path: Path) -> int | None:
    """Return the generation of a merged file; None for that of a process."""
    owner = _owner(path)
    return int(owner.removeprefix(_MERGED)) if owner.startswith(_MERGED) else None


def _is_alive(path: Path) -> bool:
    """Return whether the process of a file exists; True for a file whose name has no process id."""
    try:
        os.kill(int(_owner(path)), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, ValueError):
        return True
    return True
