"""What a container gives the image, made with namespaces: no container runtime is needed, nor root.

The steps of the Dockerfile run in a folder that is mounted at ``/mnt``. The server then is process 1 of a namespace,
as a user without rights and without an entry in ``/etc/passwd``. Everything is read-only but an empty ``/tmp``.
"""

import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from tests.processes import RunningServer

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
USER = 10001

_READ_ONLY = """
mount --bind "$1" /mnt
mount -o remount,bind,ro /mnt
mount -t tmpfs -o mode=1777,size=256m tmpfs /tmp
mount -o remount,bind,ro /
shift
cd /
exec unshare --user --map-user=10001 --map-group=10001 setpriv --no-new-privs env -i "$@"
"""


def has_namespaces() -> bool:
    """Return whether this machine lets a user make the namespaces."""
    try:
        command = [*NAMESPACE, "sh", "-c", "mount -t tmpfs tmpfs /mnt && exec unshare --user --map-user=10001 true"]
        return subprocess.run(command, capture_output=True, timeout=20).returncode == 0
    except OSError:
        return False


def build(folder: Path, extras: str) -> None:
    """Run the steps of the Dockerfile's first stage, with copies of what it copies; the result is for ``/mnt``."""
    source = folder / "src"
    source.mkdir()
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, flags=re.MULTILINE):
        *names, target = line.split()
        for name in names:
            place = source / (name if target == "./" else target)
            place.parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
            copy(ROOT / name, place)
    steps = re.findall(r"^RUN (deploy/image/install .+)$", DOCKERFILE, flags=re.MULTILINE)
    assert len(steps) == 2
    text = " && ".join(steps).replace("/opt/drum", "/mnt/drum").replace("${EXTRAS}", extras)
    run_at_mnt(folder, f"cd /mnt/src && {text}")


def run_at_mnt(folder: Path, text: str) -> str:
    """Run a shell command where the folder is mounted at ``/mnt``; return its output."""
    script = 'mount --bind "$1" /mnt && eval "$2"'
    command = [*NAMESPACE, "sh", "-euc", script, "sh", str(folder), text]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{text}: {done.stdout}{done.stderr}"
    return done.stdout


def image_environment() -> dict[str, str]:
    """Return the variables of the image's last stage, for ``/mnt``."""
    (block,) = re.findall(r"^ENV (.+?[^\\])$", DOCKERFILE, flags=re.MULTILINE | re.DOTALL)
    variables = dict(pair.split("=", 1) for pair in shlex.split(block.replace("\\\n", " ")))
    return {**variables, "PATH": "/mnt/drum/bin:/usr/local/bin:/usr/bin:/bin"}


def server_in(
    folder: Path, log: Path, variables: Mapping[str, str], arguments: Sequence[str] = ("serve",)
) -> RunningServer:
    """Return a server of the image in the sandbox, not started; ``{port}`` in variables is replaced."""
    environment = [f"{name}={value}" for name, value in {**image_environment(), **variables}.items()]
    script = [*NAMESPACE, "sh", "-euc", _READ_ONLY, "sh", str(folder), *environment, "drum", *arguments]
    return RunningServer(log=log, command=script)


def first_process(server: RunningServer) -> psutil.Process:
    """Return process 1 of the namespace, the child of ``unshare``."""
    (first,) = psutil.Process(server.process.pid).children()
    return first
