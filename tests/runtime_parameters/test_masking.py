import json
import logging

from hypothesis import given
from hypothesis import strategies as st

from datarobot_drum.runtime_parameters import mask_secrets, mask_secrets_in
from datarobot_drum.runtime_parameters.masking import (
    MASK,
    SecretFilter,
    SecretRegistry,
    register_credentials_in,
    register_secret,
    register_secret_variables,
    register_url_credentials,
)
from tests.cases import each_case


def _record(message: str, *args: object, **extra: object) -> logging.LogRecord:
    record = logging.LogRecord("test", logging.INFO, __file__, 1, message, args, None)
    vars(record).update(extra)
    return record


def test_every_value_of_a_credential_is_masked() -> None:
    register_credentials_in({"credentialType": "s3", "awsSecretAccessKey": "k3y-one", "nested": {"a": ["t0k-two"]}})
    assert mask_secrets("k3y-one, t0k-two and s3") == f"{MASK}, {MASK} and s3"


def test_descriptive_fields_are_not_masked() -> None:
    register_credentials_in({"credentialType": "basic", "name": "production", "user": "root", "password": "hunter2"})
    assert mask_secrets("/root/production uses hunter2") == f"/root/production uses {MASK}"


def test_numeric_password_is_masked() -> None:
    register_credentials_in({"credentialType": "basic", "password": 12345678})
    assert mask_secrets("it was 12345678") == f"it was {MASK}"


def test_short_and_empty_values_are_not_masked() -> None:
    register_credentials_in({"credentialType": "basic", "password": "ab", "token": "", "other": None, "flag": True})
    assert mask_secrets("ab True None") == "ab True None"


def test_longer_secret_is_masked_first() -> None:
    register_secret("abc")
    register_secret("abcdef")
    assert mask_secrets("abcdef abc") == f"{MASK} {MASK}"


@each_case("spell", [str, repr, json.dumps], ids=["plain", "repr", "json"])
def test_secret_is_masked_in_every_encoding(spell: type[str]) -> None:
    secret = 'line one\nline "two" é'
    register_secret(secret)
    assert "line" not in mask_secrets(f"value: {spell(secret)}")


def test_secret_in_url_is_masked() -> None:
    register_secret("p@ss/word")
    assert mask_secrets("https://me:p%40ss%2Fword@host/") == f"https://me:{MASK}@host/"


@given(st.text(min_size=3), st.text(), st.text())
def test_masking_removes_every_secret(secret: str, before: str, after: str) -> None:
    registry = SecretRegistry()
    registry.add(secret)
    masked = registry.mask(before + secret + after)
    assert secret not in masked or secret in MASK or MASK in secret


def test_nested_values_are_masked_and_others_kept() -> None:
    register_secret("t0ken")
    value = {"a": ["x t0ken", 1, None], "b": ("t0ken", {"c": 2.5}), "t": True}
    assert mask_secrets_in(value) == {"a": [f"x {MASK}", 1, None], "b": (MASK, {"c": 2.5}), "t": True}


def test_log_record_is_masked_after_formatting() -> None:
    register_secret("t0ken")
    record = _record("calling with %s", {"key": "t0ken"})
    assert SecretFilter().filter(record)
    assert record.getMessage() == f"calling with {{'key': '{MASK}'}}"


def test_log_record_without_secrets_is_unchanged() -> None:
    register_secret("t0ken")
    record = _record("%d of %d", 1, 2)
    SecretFilter().filter(record)
    assert (record.msg, record.args) == ("%d of %d", (1, 2))


def test_traceback_in_log_record_is_masked() -> None:
    register_secret("t0ken")
    try:
        raise ValueError("refused t0ken")
    except ValueError as error:
        record = _record("failed", exc_info=(type(error), error, error.__traceback__), stack_info="t0ken here")
    SecretFilter().filter(record)
    text = logging.Formatter("%(message)s").format(record)
    assert f"ValueError: refused {MASK}" in text
    assert "t0ken" not in text


def test_log_record_with_wrong_arguments_is_masked() -> None:
    register_secret("t0ken")
    record = _record("%d", "t0ken")
    SecretFilter().filter(record)
    assert record.getMessage() == f"%d ('{MASK}',)"


@each_case(
    ("text", "masked"),
    [
        ("no connection to https://me:pw@host/x", f"no connection to https://me:{MASK}@host/x"),
        ("--webserver=https://t0ken-alone@host", f"--webserver=https://{MASK}@host"),
        ("redis://:pw@a:1,redis://:other@b:2", f"redis://:{MASK}@a:1,redis://:{MASK}@b:2"),
        ("https://me:p@ss@host", f"https://me:{MASK}@host"),
        ("https://host/path?mail=a@b", "https://host/path?mail=a@b"),
        ("mail a@b, see https://host", "mail a@b, see https://host"),
    ],
)
def test_credentials_in_any_url_are_masked(text: str, masked: str) -> None:
    assert mask_secrets(text) == masked


def test_password_of_a_url_is_masked_where_it_stands_alone() -> None:
    register_url_credentials("https://me:pa%2Fss-1@host")
    register_url_credentials("https://me:raw/slash@host")
    register_url_credentials(None)
    assert mask_secrets("pa/ss-1, pa%2Fss-1 and raw/slash") == f"{MASK}, {MASK} and {MASK}"


def test_variables_named_like_secrets_are_masked() -> None:
    environ = {
        "MLOPS_API_TOKEN": "mlops-token-1",
        "DB_PASSWORD": "database-pass-1",
        "OTEL_EXPORTER_OTLP_HEADERS": "api-key=otel-key-1,x=other%2Dkey",
        "TOKENIZERS_PARALLELISM": "parallel-1",
        "USE_TOKEN": "true",
    }
    register_secret_variables(environ)
    assert mask_secrets("mlops-token-1 database-pass-1 otel-key-1 other-key") == " ".join([MASK] * 4)
    assert mask_secrets("parallel-1 true") == "parallel-1 true"
