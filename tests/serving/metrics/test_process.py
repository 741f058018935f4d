"""Memory of the container and of the processes of the server."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from datarobot_drum.drum.serving.metrics import process as statistics
from datarobot_drum.drum.serving.metrics.process import MIB, ProcessStatistics, child_pids, container_memory
from tests.cases import each_case

V1_NO_LIMIT = "9223372036854771712"


def _tree(root: Path, files: Mapping[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{content}\n", encoding="utf-8")
    return root


def _v2(folder: str, limit: str, used: int, peak: int | None = None) -> dict[str, str]:
    files = {"memory.max": limit, "memory.current": str(used * MIB)}
    if peak is not None:
        files["memory.peak"] = str(peak * MIB)
    return {f"{folder}{name}": content for name, content in files.items()}


def _v1(folder: str, limit: str, used: int, peak: int) -> dict[str, str]:
    return {
        f"memory/{folder}memory.limit_in_bytes": limit,
        f"memory/{folder}memory.usage_in_bytes": str(used * MIB),
        f"memory/{folder}memory.max_usage_in_bytes": str(peak * MIB),
    }


GIB = str(1024 * MIB)
IN_V1 = "12:cpu,cpuacct:/a\n4:memory:/kubepods/pod1\n0::/"

CASES = {
    "v2": (_v2("", GIB, 3, 5), "0::/", (1024.0, 3.0, 5.0)),
    "v2-without-limit": (_v2("", "max", 3, 5), "0::/", (None, 3.0, 5.0)),
    "v2-before-linux-5.19-has-no-peak": (_v2("", GIB, 3), "0::/", (1024.0, 3.0, None)),
    "v2-nested": (_v2("system.slice/drum.service/", GIB, 3, 5), "0::/system.slice/drum.service", (1024.0, 3.0, 5.0)),
    "v2-limit-of-the-pod": ({**_v2("a/", GIB, 7, 8), **_v2("a/b/", "max", 3, 5)}, "0::/a/b", (1024.0, 7.0, 8.0)),
    "v2-nested-without-limit": ({**_v2("a/", "max", 7, 8), **_v2("a/b/", "max", 3, 5)}, "0::/a/b", (None, 3.0, 5.0)),
    "v2-path-of-the-host": (_v2("", GIB, 3, 5), "0::/docker/0a1b", (1024.0, 3.0, 5.0)),
    "v2-path-outside": (_v2("", GIB, 3, 5), "0::/../sibling", (1024.0, 3.0, 5.0)),
    "v1": (_v1("", GIB, 3, 5), "4:memory:/", (1024.0, 3.0, 5.0)),
    "v1-without-limit": (_v1("", V1_NO_LIMIT, 3, 5), "4:memory:/", (None, 3.0, 5.0)),
    "v1-nested": (_v1("kubepods/pod1/", GIB, 3, 5), IN_V1, (1024.0, 3.0, 5.0)),
    "v1-path-of-the-host": (_v1("", GIB, 3, 5), IN_V1, (1024.0, 3.0, 5.0)),
    "v1-beside-an-empty-v2": ({**_v1("", GIB, 3, 5), "unified/cgroup.procs": "1"}, IN_V1, (1024.0, 3.0, 5.0)),
    "none": ({}, "0::/", (None, None, None)),
    "none-at-all": ({}, None, (None, None, None)),
    "garbage": ({"memory.max": "?", "memory.current": "", "memory.peak": "x"}, "0::/", (None, None, None)),
}


@each_case(("files", "membership", "expected"), CASES.values(), ids=list(CASES))
def test_container_memory_is_read_from_the_limiting_cgroup(
    tmp_path: Path, files: Mapping[str, str], membership: str | None, expected: tuple[float | None, ...]
) -> None:
    groups = tmp_path / "groups"
    if membership is not None:
        groups.write_text(f"{membership}\n", encoding="utf-8")
    found = container_memory(_tree(tmp_path / "cgroup", files), groups)
    assert found == dict(zip(("container_limit", "container_used", "container_max_used"), expected, strict=True))


def test_cgroups_of_this_machine_are_read() -> None:
    assert set(container_memory()) == {"container_limit", "container_used", "container_max_used"}


@pytest.fixture
def child() -> Iterator[int]:
    """Start a child process that has a child of its own."""
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    yield process.pid
    process.communicate(b"\n", timeout=60)


def test_statistics_cover_the_process_and_its_direct_children(child: int) -> None:
    own = psutil.Process()
    found = ProcessStatistics().collect(own.pid)
    pids = [process["pid"] for process in found["drum_info"]]
    assert pids[0] == own.pid and child in pids
    assert not {grandchild.pid for grandchild in psutil.Process(child).children()} & set(pids)
    assert found["mem_info"]["drum_rss"] == sum(process["mem"] for process in found["drum_info"])
    assert own.cmdline() in [process["cmdline"] for process in found["drum_info"]]


def test_child_pids_equal_those_of_psutil(child: int) -> None:
    assert set(child_pids(psutil.Process().pid)) == {process.pid for process in psutil.Process().children()}


def test_children_are_found_without_children_files(child: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "PROC", tmp_path)
    with pytest.raises(OSError):
        child_pids(psutil.Process().pid)
    found = ProcessStatistics().collect(psutil.Process().pid)
    assert child in [process["pid"] for process in found["drum_info"]]


def test_ended_server_has_no_processes() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait(60)
    assert ProcessStatistics().collect(ended.pid)["drum_info"] == []


def test_second_call_measures_cpu_since_the_first() -> None:
    statistics = ProcessStatistics()
    pid = psutil.Process().pid
    assert statistics.collect(pid)["drum_info"][0]["cpu_percent"] == 0.0
    begin = psutil.Process().cpu_times().user
    while psutil.Process().cpu_times().user < begin + 0.05:
        pass
    assert statistics.collect(pid)["drum_info"][0]["cpu_percent"] > 0.0
