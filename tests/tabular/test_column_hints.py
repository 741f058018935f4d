"""Messages for missing columns: what was found, and what it looks like."""

from datarobot_drum.drum.tabular.column_hints import missing_columns_message, wrong_width_message
from tests.cases import each_case

WANTED = ["town", "x"]

HINTS = {
    "semicolon": (["town;x"], "separated by ';'"),
    "tab": (["town\tx"], "separated by a tab"),
    "pipe": (["town|x"], "separated by '|'"),
    "caret": (["town^x"], "separated by '^'"),
    "blank": (["town x"], "separated by ' '"),
    "quoted names between semicolons": (['"town";"x"'], "separated by ';'"),
    "quoted header": (["town,x"], "whole header is in quotes"),
    "blank before a name": (["town", " x"], "Names differ in blanks: ' x' for 'x'."),
    "no-break blank": (["town", "x\xa0"], "Names differ in blanks"),
    "case": (["Town", "X"], "Names differ in upper and lower case: 'Town' for 'town', 'X' for 'x'."),
    "byte order mark": (["\ufefftown", "x"], "Names differ in a byte order mark: '\\ufefftown' for 'town'."),
    "byte order mark read as latin-1": (["\xef\xbb\xbftown", "x"], "byte order mark"),
    "quotes": (["'town'", "'x'"], "Names differ in quotes"),
    "punctuation": (["to-wn", "x"], "Names differ in punctuation: 'to-wn' for 'town'."),
    "no header": (["Ulm", "0"], "The first line looks like data"),
    "no header, equal numbers": (["0.5", "0.5.1"], "The first line looks like data"),
    "no header, empty cell": (["Ulm", "Unnamed: 1"], "The first line looks like data"),
    "no header, other width": (["1", "2", "Ulm", "1e-5"], "The first line looks like data"),
    "repeated name": (["town", "town.1"], "The header names 'town' more than once."),
    "JSON lines": (['{"town":"Ulm"', "x:0}"], "looks like JSON"),
    "HTML": (["<!DOCTYPE html>"], "looks like HTML"),
    "Matrix Market": (["%%MatrixMarket matrix coordinate real general"], "looks like Matrix Market"),
}


@each_case("name", HINTS)
def test_message_names_what_the_header_looks_like(name: str) -> None:
    found, hint = HINTS[name]
    message = missing_columns_message(WANTED, found)
    assert message.startswith(f"The samples lack {2 - len({*found} & {*WANTED})} of the 2 columns of the model: ")
    assert f"; found: {found[0]!r}" in message
    assert hint in message


@each_case("found", [["town", "y"], ["city", "length"], ["town", "2020"], []])
def test_other_headers_have_no_hint(found: list[str]) -> None:
    shown = ", ".join(map(repr, found)) or "no columns"
    assert missing_columns_message(WANTED, found).endswith(f"; found: {shown}.")


def test_names_are_few_short_and_escaped() -> None:
    found = ["\x1b[31m\r\nERROR \u202e" + "x" * 1_000_000, *(f"column {number}" for number in range(99_999))]
    message = missing_columns_message([f"wanted {number}" * 100 for number in range(100_000)], found)
    assert len(message) < 3_000
    assert message.isprintable()
    assert "'column 8' and 99990 more." in message


def test_model_columns_are_listed_without_quotes() -> None:
    message = missing_columns_message([f"c{number}" for number in range(12)], ["c0"])
    assert message.startswith("The samples lack 11 of the 12 columns of the model: c1, c2")
    assert "c10 and 1 more; found: 'c0'." in message


def test_blanks_that_lightgbm_has_replaced_are_not_missing() -> None:
    assert "lack 1 of the 2 columns of the model: y;" in missing_columns_message(["mean_x", "y"], ["mean x"])


@each_case(
    ("found", "message"),
    [
        (["a", "b", "c"], "The samples have 3 columns; the model takes 2. Found: 'a', 'b', 'c'."),
        (["a;b"], "The samples have 1 columns; the model takes 2. Found: 'a;b'. The columns seem to be separated by"),
    ],
)
def test_wrong_width_names_what_was_found(found: list[str], message: str) -> None:
    assert wrong_width_message(2, found).startswith(message)
