"""The control groups that limit this process: version 2 or 1, nested ones included."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


@dataclass(frozen=True)
class CgroupFolder:
    """A folder that may account for this process; its file names depend on the version."""

    path: Path
    version: int


def cgroup_folders(controller: str, mount: Path = MOUNT, membership: Path = MEMBERSHIP) -> Iterator[CgroupFolder]:
    """Yield the folders where the kernel may account ``controller`` (``memory``, ``cpu``), innermost group first.

    A container usually sees its own group as the root. On a host, and in a container that shares the host's view,
    the group lies below it.

    Args:
        mount: where the control groups are mounted.
        membership: the file that lists the groups of the process.
    """
    paths = _paths(membership)
    for name, root, version in ((controller, mount / controller, 1), ("", mount, 2)):
        inner = Path(paths.get(name, "/").lstrip("/"))
        if ".." not in inner.parts:  # a group outside the mount
            yield from (CgroupFolder(root / group, version) for group in (inner, *inner.parents) if group != Path())
        yield CgroupFolder(root, version)


def _paths(membership: Path) -> dict[str, str]:
    """Return the group's path by controller; the controller of version 2 is ""."""
    paths: dict[str, str] = {}
    with suppress(OSError):
        for line in membership.read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            paths |= dict.fromkeys(controllers.split(","), path)
    return paths
