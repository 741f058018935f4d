"""The Dockerfile, its lock files and its health check, without a container runtime."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.cases import each_case
from tests.processes import RunningServer, clean_environment, free_port

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / "deploy" / "image" / "requirements"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")

NOT_LOCKED = {
    "torch",
    "transformers",
    "sentence-transformers",
    "spacy",
    "tensorflow",
    "keras",
    "ray",
    "reload",
    "terminal",
    "deploy",
    "docs-site",
    "test",
    "dev",
}
"""Extras that no image is made with from here: their files differ by accelerator, or are for development."""

PIN = re.compile(r"^([a-z0-9._-]+)==(\S+)(?: ; (.+?))? \\$", flags=re.MULTILINE)


def _locked() -> set[str]:
    (names,) = re.findall(r"^LOCKED \?= (.+)$", MAKEFILE, flags=re.MULTILINE)
    return set(names.split())


def _requirements(extra: str) -> Iterator[Requirement]:
    """Yield what ``setup.py`` names for an extra; for core what it always needs."""
    for text in distribution("datarobot-drum").requires or []:
        requirement = Requirement(text)
        is_extra = 'extra == "' in text
        if extra == "core" and not is_extra:
            yield requirement
        if is_extra and requirement.marker and f'extra == "{extra}"' in str(requirement.marker):
            yield requirement


def test_lock_files_are_those_of_the_makefile() -> None:
    assert {file.stem for file in LOCKS.glob("*.txt")} == {"core", "build", *_locked()}


def test_every_extra_is_locked_or_listed() -> None:
    extras = set(distribution("datarobot-drum").metadata.get_all("Provides-Extra", []))
    assert extras == _locked() | NOT_LOCKED, "add it to LOCKED in the Makefile and run make lock"


def test_extras_of_the_image_are_locked() -> None:
    (image,) = re.findall(r'^ARG EXTRAS="(.+)"$', DOCKERFILE, flags=re.MULTILINE)
    (default,) = re.findall(r"^EXTRAS \?= (.+)$", MAKEFILE, flags=re.MULTILINE)
    assert image == default
    assert set(image.split()) <= _locked()


@each_case("extra", ["core", *sorted(_locked())])
def test_lock_has_a_version_in_the_range_of_each_requirement(extra: str) -> None:
    pins: dict[str, set[str]] = {}
    for name in {"core", extra}:
        for package, version, _ in PIN.findall((LOCKS / f"{name}.txt").read_text(encoding="utf-8")):
            pins.setdefault(package, set()).add(version)
    for requirement in _requirements(extra):
        versions = pins.get(canonicalize_name(requirement.name), set())
        assert any(map(requirement.specifier.contains, versions)), f"{requirement}: run make lock"


@each_case("file", sorted(LOCKS.glob("*.txt")), ids=lambda file: file.stem)
def test_every_pin_has_hashes_and_no_line_names_a_place(file: Path) -> None:
    first, *lines = file.read_text(encoding="utf-8").splitlines()
    assert first.startswith("# Made by: make lock")
    known = re.compile(r"[a-z0-9._-]+==[^\s/]+( ; [^\\/]+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?")
    assert [line for line in lines if not known.fullmatch(line)] == []


def test_the_same_package_has_the_same_versions_in_all_lock_files() -> None:
    versions: dict[tuple[str, str], set[str]] = {}
    for file in LOCKS.glob("*.txt"):
        for package, version, marker in PIN.findall(file.read_text(encoding="utf-8")):
            if file.stem != "build":
                versions.setdefault((package, marker), set()).add(version)
    assert {key: found for key, found in versions.items() if len(found) > 1} == {}


def test_an_extra_that_is_not_locked_is_refused(tmp_path: Path) -> None:
    install = [str(ROOT / "deploy/image/install"), "dependencies", str(tmp_path / "venv"), "scikit-learn", "torch"]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "The extra torch is not locked. Locked are: arrow.txt" in done.stderr
    assert "make lock" in done.stderr
    assert not (tmp_path / "venv").exists()


@each_case("program", ["hadolint", "shellcheck"])
def test_linters_find_nothing(program: str) -> None:
    path = shutil.which(program, path=Path(sys.executable).parent)
    if path is None:
        pytest.skip(f"{program} needs the extra deploy: make test ALL=1 installs it")
    files = ["Dockerfile"] if program == "hadolint" else ["deploy/image/install", "deploy/image/lock"]
    done = subprocess.run([path, *files], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0)


def test_builder_gets_what_the_dockerfile_copies() -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, flags=re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert copied
    assert [source for source in copied if not any(Path(source).is_relative_to(name) for name in allowed)] == []
    assert [name for name in allowed if not (ROOT / name).exists()] == []


def test_image_is_not_started_as_root_nor_by_a_shell() -> None:
    final = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
    assert re.search(r"^USER 10001:10001$", final, flags=re.MULTILINE)
    assert re.search(r'^ENTRYPOINT \["drum"\]$', final, flags=re.MULTILINE)
    assert re.search(r'^CMD \["serve"\]$', final, flags=re.MULTILINE)
    # They would win over the ports and folders of platforms.
    assert not re.search(r"\b(ADDRESS|CODE_DIR|PORT)=", final)


MODEL = """
def load_model(code_dir):
    return "model"


def score_unstructured(model, data, **kwargs):
    return data
"""


def _is_healthy(variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "datarobot_drum.drum.management.healthcheck"]
    environment = {**clean_environment(), **variables}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.process
@each_case("port", ["main", "management"])
def test_health_check_reads_the_variables_of_the_server(tmp_path: Path, port: str) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "custom.py").write_text(MODEL, encoding="utf-8")
    variables = {
        "PORT": "{port}",
        "CODE_DIR": str(model),
        "TARGET_TYPE": "unstructured",
        "URL_PREFIX": "/models/mine",
        "DRUM_SERVER_TYPE": "fastapi",
        "DRUM_LAME_DUCK_SECONDS": "0",
    }
    if port == "management":
        variables["DRUM_MANAGEMENT_PORT"] = str(free_port())
    serve = [sys.executable, "-m", "datarobot_drum", "serve"]
    with RunningServer(
        log=tmp_path / "log", environment=variables, command=serve, prefix="/models/mine", ready="/readyz"
    ) as server:
        variables["PORT"] = str(server.port)
        done = _is_healthy(variables)
        assert (done.returncode, done.stderr) == (0, "")
    done = _is_healthy(variables)
    assert done.returncode == 1
    assert re.match(r"Not healthy: .*refused", done.stderr)


def test_health_check_reports_an_invalid_address() -> None:
    done = _is_healthy({"ADDRESS": "nonsense"})
    assert done.returncode == 1
    assert done.stderr.startswith("Not healthy: The address 'nonsense' is none of host:port")
    assert len(done.stderr.splitlines()) == 1
