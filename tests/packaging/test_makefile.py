"""The targets of the Makefile, without installing anything."""

import os
import re
import subprocess
from pathlib import Path

from tests.cases import each_case

ROOT = Path(__file__).parents[2]
MAKE_VARIABLES = {
    "MAKEFLAGS",
    "MFLAGS",
    "MAKEOVERRIDES",
    "MAKELEVEL",
    "VENV",
    "PYTHON",
    "SERVER",
    "MODEL",
    "PORT",
}


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make from the root, without the variables of a surrounding make."""
    environment = {name: value for name, value in os.environ.items() if name not in MAKE_VARIABLES | {"ADDRESS"}}
    return subprocess.run(["make", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def make_python(folder: Path, script: str) -> Path:
    path = folder / "python3"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_help_lists_every_target() -> None:
    declared = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert declared
    listed = {line.split()[0] for line in make().stdout.split("\n\n")[0].splitlines()}
    assert listed == set(declared[1].split())


def test_old_python_is_rejected_with_a_hint(tmp_path: Path) -> None:
    old = make_python(tmp_path, "exit 1")
    done = make("install", f"VENV={tmp_path}/venv", f"PYTHON={old}")
    assert done.returncode == 2
    assert f"Python 3.10 or newer is needed and was not found as {old}." in done.stderr
    assert "make PYTHON=" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_python_without_venv_is_reported_and_leaves_nothing(tmp_path: Path) -> None:
    half = f'case "$1" in -m) mkdir -p {tmp_path}/venv; touch {tmp_path}/venv/pyvenv.cfg; exit 1;; esac'
    done = make("install", f"VENV={tmp_path}/venv", f"PYTHON={make_python(tmp_path, half)}")
    assert done.returncode == 2
    assert "python3-venv" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_other_folder_is_never_removed(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    make("install", f"VENV={tmp_path}", f"PYTHON={make_python(tmp_path, '[ $1 != -m ]')}")
    assert (tmp_path / "precious").exists()


@each_case(
    ("variables", "curl"),
    [
        ([], "@examples/regression_diabetes/sample.csv http://127.0.0.1:8080/predict/"),
        (
            ["MODEL=examples/multiclass_wine/", "PORT=9000"],
            "@examples/multiclass_wine/sample.csv http://127.0.0.1:9000/predict/",
        ),
        (["ADDRESS=0.0.0.0:9000"], "http://127.0.0.1:9000/predict/"),
        (["ADDRESS=:9000"], "http://127.0.0.1:9000/predict/"),
        (["ADDRESS=[::1]:9000"], "http://[::1]:9000/predict/"),
        (
            ["MODEL=examples/unstructured_text", "PORT=9000"],
            "@examples/unstructured_text/sample.txt 'http://127.0.0.1:9000/predictUnstructured/?top=2'",
        ),
        (["MODEL=examples/chat_echo/"], "@examples/chat_echo/sample.json http://127.0.0.1:8080/chat/completions"),
        (["MODEL=examples/streaming_text"], "http://127.0.0.1:8080/predictionsStream/"),
    ],
    ids=["defaults", "model and port", "every interface", "port alone", "IPv6", "text", "chat", "stream"],
)
def test_serve_prints_curl_of_the_readme(tmp_path: Path, variables: list[str], curl: str) -> None:
    assert curl in make("-n", "serve", f"VENV={tmp_path}/venv", *variables).stdout


def test_serve_prints_curl_for_a_sample_without_readme(tmp_path: Path) -> None:
    (tmp_path / "sample.csv").touch()
    printed = make("-n", "serve", f"VENV={tmp_path}/venv", f"MODEL={tmp_path}").stdout
    assert f"--data-binary @{tmp_path}/sample.csv http://127.0.0.1:8080/predict/" in printed


def test_serve_prints_no_curl_without_sample(tmp_path: Path) -> None:
    assert "curl -X" not in make("-n", "serve", f"VENV={tmp_path}/venv", f"MODEL={tmp_path}").stdout


def test_serve_passes_the_server_type(tmp_path: Path) -> None:
    recipe = make("-n", "serve", f"VENV={tmp_path}/venv", "SERVER=gunicorn").stdout
    assert 'DRUM_SERVER_TYPE="gunicorn" exec' in recipe


def _audit(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run the audit with a stand-in for the interpreter that has pip-audit."""
    command = [str(ROOT / ".ci" / "audit"), str(make_python(folder, script))]
    return subprocess.run(command, capture_output=True, text=True, check=False)


INSTALLED = 'case "$*" in *--version*) exit 0;; esac;'


@each_case(
    ("script", "code", "text"),
    [
        ("exit 1", 0, "Not audited: pip-audit is not installed"),
        (f"{INSTALLED} echo 'No route to host' >&2; exit 1", 0, "No route to host\nNot audited: the advisory data"),
        (f"{INSTALLED} echo 'Found 2 known vulnerabilities in 1 package'; exit 1", 1, "Found 2 known"),
        (f"{INSTALLED} echo 'No known vulnerabilities found'", 0, "No known vulnerabilities found"),
        (f"{INSTALLED} echo 'x Dependency not found on PyPI and could not be audited'", 0, "Not audited: the advisory"),
    ],
    ids=["not installed", "no data", "vulnerable", "clean", "packages without data"],
)
def test_audit_fails_only_for_a_vulnerability(tmp_path: Path, script: str, code: int, text: str) -> None:
    done = _audit(tmp_path, script)
    assert (done.returncode, text in done.stdout) == (code, True), done.stdout + done.stderr


def test_sbom_is_written_from_the_environment(tmp_path: Path) -> None:
    recipe = make("-n", "sbom", f"VENV={tmp_path}/venv").stdout
    assert (
        f"cyclonedx_py environment --output-reproducible --of JSON --output-file build/sbom.json {tmp_path}" in recipe
    )
