"""User secrets, from files in a mounted folder and from environment variables with a prefix.

A secret is text, or a JSON object, which becomes a dict. The platform's ``{"type": "credential", "payload": {...}}``
becomes its payload. Every secret is registered for masking.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from datarobot_drum.drum.exceptions import StartupError, UsageError
from datarobot_drum.runtime_parameters.masking import register_credentials_in, register_secret

_ENVELOPE = {"type", "payload"}
_MIN_LINE_LENGTH = 8


def read_user_secrets(mount_path: str | None, prefix: str | None, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return all secrets by name. A file wins over a variable of the same name.

    A file's name is its path below the folder, with slashes; hidden files and folders are skipped. A variable's
    name is the part after the prefix and an underscore.

    Raises:
        UsageError: the mount path is not a folder.
        StartupError: a secret cannot be read, or is malformed JSON; the message never contains it.
    """
    texts = {**_from_variables(prefix, environ), **_from_files(mount_path)}
    return {name: _decode(name, text) for name, text in texts.items()}


def _from_variables(prefix: str | None, environ: Mapping[str, str]) -> dict[str, str]:
    if not prefix:
        return {}
    start = prefix.rstrip("_") + "_"
    return {name[len(start) :]: text for name, text in environ.items() if name.startswith(start) and name != start}


def _from_files(mount_path: str | None) -> dict[str, str]:
    if not mount_path:
        return {}
    folder = Path(mount_path)
    if not folder.is_dir():
        raise UsageError(f"--user-secrets-mount-path {folder} is not a folder.")
    return {file.relative_to(folder).as_posix(): _read(file) for file in _files(folder)}


def _files(folder: Path) -> Iterator[Path]:
    """Yield the visible files; Kubernetes keeps the targets of its links in hidden folders."""
    for parent, subfolders, names in os.walk(folder):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        yield from (Path(parent) / name for name in sorted(names) if not name.startswith("."))


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig").rstrip("\r\n")
    except OSError as error:
        raise StartupError(f"The user secret {file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError:
        raise StartupError(f"The user secret {file} is not UTF-8 text.") from None


def _decode(name: str, text: str) -> Any:
    register_secret(text)
    for line in text.splitlines():  # a message may show one line of a key
        if len(line) >= _MIN_LINE_LENGTH:
            register_secret(line)
    if not text.lstrip().startswith("{"):
        return text
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        # Without a cause: the decoder's error contains the whole text.
        raise StartupError(f"The user secret {name} begins like a JSON object but is malformed.") from None
    if set(document) == _ENVELOPE and isinstance(document["payload"], Mapping):
        document = document["payload"]
    register_credentials_in(document)
    return document
