"""Error texts of libraries as clients see them, and of clients as the log shows them."""

from datarobot_drum.drum.error_text import MAX_CLIENT_TEXT, client_text, one_line
from tests.cases import each_case

NATIVE = {
    "xgboost": (
        "[12:00:00] /workspace/src/data/columnar.h:134: Category index has floating point dtype.\nStack trace:\n"
        "  [bt] (0) /opt/venv/lib/xgboost/lib/libxgboost.so(+0x11) [0x7f]",
        "[12:00:00] columnar.h:134: Category index has floating point dtype.",
    ),
    "catboost": ("catboost/libs/model/model.cpp:1185: Incorrect descriptor", "model.cpp:1185: Incorrect descriptor"),
    "lightgbm": ("Check failed: (a) == (b) at /__w/1/s/src/io/x.cpp, line 12 .", "Check failed: (a) == (b) at x.cpp, "),
    "onnx": (
        "[ONNXRuntimeError] : 1 : FAIL : /onnxruntime_src/core/math/matmul_helper.h:61 dimension mismatch",
        "[ONNXRuntimeError] : 1 : FAIL : matmul_helper.h:61 dimension mismatch",
    ),
    "torch": (
        "expected Float\nException raised from f at ../aten/src/x.cpp:20 (most recent first):\nframe #0: c10::Error",
        "expected Float",
    ),
    "java": ("x.BadRow: no\n\tat com.x.Y.z(Y.java:12)\nCaused by: other", "x.BadRow: no"),
    "r": ("Error in f(x) : object not found\nCalls: <Anonymous> -> predict", "Error in f(x) : object not found"),
    "rust": (
        "panicked at crates/core/src/mod.rs:1:5:\nboom\nstack backtrace:\n 0: begin",
        "panicked at mod.rs:1:5:\nboom",
    ),
    "child process": (
        '"""\nTraceback (most recent call last):\n  File "/usr/x.py", line 3, in y\nValueError: no row\n"""',
        "ValueError: no row",
    ),
}


@each_case("name", NATIVE)
def test_native_error_loses_its_stack_trace_and_paths(name: str) -> None:
    text, expected = NATIVE[name]
    assert client_text(text).startswith(expected)
    assert not any(mark in client_text(text) for mark in ("[bt]", "trace", "frame #", "/opt", "src/", "\tat "))


@each_case(
    ("text", "expected"),
    [
        ("No such file: '/opt/model/data/x.bin'", "No such file: 'x.bin'"),
        (r"C:\Users\me\x.bin is missing", "x.bin is missing"),
        ("file:///opt/a/b.txt, ~/data/x.pkl", "b.txt, x.pkl"),
    ],
    ids=["posix", "windows", "url and home"],
)
def test_absolute_path_is_reduced_to_the_name(text: str, expected: str) -> None:
    assert client_text(text) == expected


@each_case(
    "text",
    [
        "use /predict/, 1/2 and/or 2020/01/02",
        "http://engine:8000/v1/models",
        "POST /v1/chat/completions",
        "no\nway",
        "",
    ],
)
def test_other_text_stays(text: str) -> None:
    assert client_text(text) == text


def test_long_text_is_cut() -> None:
    assert len(client_text("x" * 10_000_000)) == MAX_CLIENT_TEXT


def test_text_of_a_client_is_one_printable_line() -> None:
    assert one_line("a\r\nERROR\x1b[31m\u2028\u202e\x9bb") == "a ERROR\\x1b[31m \\u202e\\x9bb"
    assert len(one_line("y" * 100_000)) == 1_000
