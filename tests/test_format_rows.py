"""Each row of FORMAT's tables of faults has a test, and no test names a row that is not there."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from format_rows import ROWS

HERE = Path(__file__).parent
BUNDLED = {"10.3", "10.4"}


def marks() -> Iterator[tuple[str, str, str]]:
    """Every `format_row` of the suite, on tests and on single cases: module, section, row."""
    for path in sorted(HERE.glob("test_*.py")):
        for call in ast.walk(ast.parse(path.read_bytes())):
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
                continue
            if call.func.attr == "format_row":
                section, row = (ast.literal_eval(argument) for argument in call.args)
                yield path.name, section, row


@pytest.mark.parametrize("section", sorted(BUNDLED))
def test_each_row_has_a_test(section: str) -> None:
    marked = {row for _, of, row in marks() if of == section}
    assert marked == set(ROWS[section])
    assert len(set(ROWS[section])) == len(ROWS[section])


def test_no_other_section_is_named() -> None:
    assert {section for _, section, _ in marks()} == BUNDLED


def test_marks_stand_on_tests() -> None:
    """A mark on a helper would count, and run nothing."""
    for path in sorted(HERE.glob("test_*.py")):
        for each in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(each, ast.FunctionDef) and not each.name.startswith("test_"):
                assert not any("format_row" in ast.unparse(mark) for mark in each.decorator_list)


@pytest.mark.parametrize("section", sorted(BUNDLED))
def test_the_list_is_as_long_as_the_table(section: str) -> None:
    corpus = os.environ.get("TENSORBUNDLE_CORPUS")
    text = Path(corpus, "..", "FORMAT.md") if corpus else None
    if text is None or not text.is_file():
        pytest.skip("FORMAT.md is not here")
    _, _, rest = text.read_text().partition(f"\n### {section} ")
    table = [line for line in rest.partition("\n### ")[0].splitlines() if line.startswith("|")]
    assert len(table) - 2 == len(ROWS[section])
