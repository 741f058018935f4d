"""Settings of access: what is accepted, and errors that name the parameter and never a key."""

import logging
from pathlib import Path
from typing import Any

import pytest

from datarobot_drum.drum.exceptions import RuntimeParameterError
from datarobot_drum.drum.settings.access import ACCESS_NAMES, AccessSettings, RateLimit, TlsFiles
from datarobot_drum.drum.settings.arguments import Arguments, mask_command_line, secret_variables, to_argv
from datarobot_drum.drum.settings.build import build_settings
from datarobot_drum.runtime_parameters import mask_secrets
from tests.cases import each_case

FIRST, SECOND = "first-key-of-the-tests", "second-key-of-the-tests"


@pytest.fixture
def build(tmp_path: Path, clean_environment: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that builds the settings of access from variables."""
    (tmp_path / "custom.py").write_text("")
    monkeypatch.chdir(tmp_path)

    def read(server_type: str = "fastapi", *, error_server: bool = False, **variables: str) -> AccessSettings:
        arguments = Arguments(
            code_dir=str(tmp_path), address=":1", target_type="regression", with_error_server=error_server
        )
        with pytest.MonkeyPatch.context() as environment:
            for name, value in variables.items():
                environment.setenv(name, value)
            return build_settings(arguments, server_type).access

    return read


def test_everything_is_open_by_default(build: Any) -> None:
    access = build()
    assert access == AccessSettings()
    assert access.is_open


@each_case(
    ("text", "keys"),
    [(FIRST, (FIRST,)), (f" {FIRST} ,, {SECOND}, {FIRST},", (FIRST, SECOND)), ("!~'\"\\+/=-._", ("!~'\"\\+/=-._",))],
)
def test_keys_are_separated_by_commas(build: Any, text: str, keys: tuple[str, ...]) -> None:
    assert build(DRUM_API_KEYS=text).keys == keys


def test_keys_appear_nowhere(build: Any, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(SECOND)
    access = build(DRUM_API_KEYS=FIRST, DRUM_API_KEYS_FILE="keys")
    assert access.keys_file == tmp_path / "keys"
    assert FIRST not in repr(access)
    assert mask_secrets(f"{FIRST} {SECOND}") == "**** ****"


@each_case("text", [" ", ",", " , ,", "schlüssel-der-geheim", "key with a blank", "key\twith-a-tab"])
def test_wrong_keys_fail_the_start_without_being_shown(build: Any, text: str) -> None:
    with pytest.raises(RuntimeParameterError, match="DRUM_API_KEYS") as caught:
        build(DRUM_API_KEYS=text)
    assert not text.strip(" ,") or text.strip() not in str(caught.value)


def test_a_wrong_key_fails_the_start_of_an_error_server(build: Any) -> None:
    with pytest.raises(RuntimeParameterError, match="has no key"):
        build(error_server=True, DRUM_API_KEYS=",")


@each_case("content", [None, b"", b"# a comment\n", b"\xff\xfe"])
def test_a_file_without_keys_fails_the_start(build: Any, tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "keys").write_bytes(content)
    with pytest.raises(RuntimeParameterError, match="DRUM_API_KEYS_FILE"):
        build(DRUM_API_KEYS_FILE=str(tmp_path / "keys"))


def test_short_and_empty_keys_are_warned_of(build: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        build(DRUM_API_KEYS="short", DRUM_TLS_CERT="")
    assert "5 characters" in caplog.text
    assert "DRUM_TLS_CERT is set but empty" in caplog.text
    assert "short" not in caplog.text


@each_case(
    ("text", "limit"),
    [
        ("100/minute", RateLimit(100, 60.0)),
        (" 5 / Second ", RateLimit(5, 1.0)),
        ("1/hour", RateLimit(1, 3600.0)),
        ("7/day", RateLimit(7, 86_400.0)),
    ],
)
def test_rate_limits_are_read(build: Any, text: str, limit: RateLimit) -> None:
    assert build(DRUM_RATE_LIMIT=text).rate_limit == limit


@each_case("text", ["100", "0/minute", "-1/minute", "1.5/minute", "1/week", "1/minute/2", "x", " "])
def test_wrong_rate_limits_fail_the_start(build: Any, text: str) -> None:
    with pytest.raises(RuntimeParameterError, match=r"DRUM_RATE_LIMIT must be .* such as 100/minute"):
        build(DRUM_RATE_LIMIT=text)


@each_case(
    ("text", "origins"),
    [
        ("https://a.example", {"https://a.example"}),
        ("HTTPS://A.example:443 , http://localhost:3000", {"https://a.example", "http://localhost:3000"}),
        ("http://[::1]:80", {"http://[::1]"}),
        ("*", {"*"}),
        ("chrome-extension://abc", {"chrome-extension://abc"}),
    ],
)
def test_origins_are_read_as_browsers_send_them(build: Any, text: str, origins: set[str]) -> None:
    assert build(DRUM_CORS_ORIGINS=text).cors_origins == origins


@each_case(
    "text", ["a.example", "https://a.example/", "https://a.example/x", "https://*.example", "null", "*,https://a", ","]
)
def test_wrong_origins_fail_the_start(build: Any, text: str) -> None:
    with pytest.raises(RuntimeParameterError, match="DRUM_CORS_ORIGINS"):
        build(DRUM_CORS_ORIGINS=text)


def test_tls_files_are_absolute(build: Any, tmp_path: Path) -> None:
    files = build(DRUM_TLS_CERT="c.pem", DRUM_TLS_KEY="/k.pem", DRUM_TLS_CLIENT_CA="ca.pem").tls
    assert files == TlsFiles(tmp_path / "c.pem", Path("/k.pem"), tmp_path / "ca.pem")


@each_case(
    ("variables", "message"),
    [
        ({"DRUM_TLS_CERT": "c"}, "DRUM_TLS_KEY is missing"),
        ({"DRUM_TLS_KEY": "k"}, "DRUM_TLS_CERT is missing"),
        ({"DRUM_TLS_CLIENT_CA": "a"}, "DRUM_TLS_CERT is missing"),
    ],
)
def test_tls_needs_both_files(build: Any, variables: dict[str, str], message: str) -> None:
    with pytest.raises(RuntimeParameterError, match=message):
        build(**variables)


def test_flask_does_not_serve_plain_http_instead_of_tls(build: Any) -> None:
    with pytest.raises(RuntimeParameterError, match="gunicorn or fastapi"):
        build("flask", DRUM_TLS_CERT="c", DRUM_TLS_KEY="k")


def test_the_names_are_those_of_the_parameters() -> None:
    assert {"DRUM_API_KEYS", "DRUM_TLS_CLIENT_CA", "DRUM_RATE_LIMIT"} < ACCESS_NAMES


def test_secrets_are_on_no_command_line() -> None:
    arguments = Arguments(api_token="t0k", webserver="https://user:p4ss@host", code_dir="m")
    assert to_argv("server", arguments) == ["--code-dir=m"]
    variables = secret_variables("server", arguments)
    assert variables == {"API_TOKEN": "t0k", "EXTERNAL_WEB_SERVER_URL": "https://user:p4ss@host"}


def test_command_lines_are_masked() -> None:
    words = ["drum", "--api-token", "t", "--api-token=u", "--webserver=https://user:p4ss@host", "x"]
    masked = ["drum", "--api-token", "****", "--api-token=****", "--webserver=https://user:****@host", "x"]
    assert mask_command_line(words) == masked
