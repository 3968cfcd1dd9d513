"""The rules of style that a program can hold: sizes, names and docstrings."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINES_OF_A_MODULE = 400
LINES_OF_A_FUNCTION = 60
# Above this share of lines inside literals at module level, a module is a table.
SHARE_OF_A_TABLE = 0.7
BANNED_NAMES = frozenset(("util", "utils", "helper", "helpers", "manager", "common", "misc"))

SOURCES = [
    path
    for package in ("agent", "hal")
    for path in sorted((ROOT / package).rglob("*.py"))
    if "__pycache__" not in path.parts
]
PACKAGES = sorted({path.parent for path in SOURCES})


def name_of(path: Path) -> str:
    """The path as it stands in a message, and as the name of a test."""
    return str(path.relative_to(ROOT))


def lines_of_tables(tree: ast.Module) -> int:
    """How many lines belong to literals, and calls that hold them, at the level of the module."""
    values = (
        node.value for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign | ast.Expr)
    )
    return sum(
        (node.end_lineno or node.lineno) - node.lineno + 1
        for node in values
        if isinstance(node, ast.Tuple | ast.List | ast.Dict | ast.Set | ast.Call | ast.Constant)
        and node.lineno > 1
    )


def is_table(source: str) -> bool:
    """Whether a module is data that happens to be written in Python."""
    lines = len(source.splitlines())
    return lines > 0 and lines_of_tables(ast.parse(source)) / lines > SHARE_OF_A_TABLE


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """All functions and methods, nested ones too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def lines_of_function(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The lines from `def` to the end, without the docstring."""
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node, clean=False) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_module_is_one_idea(path: Path) -> None:
    source = path.read_text()
    lines = len(source.splitlines())
    assert lines <= LINES_OF_A_MODULE or is_table(source), f"{lines} lines"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_function_fits_on_a_screen(path: Path) -> None:
    tree = ast.parse(path.read_text())
    long = [
        f"{node.name} (line {node.lineno}) has {lines_of_function(node)} lines"
        for node in functions(tree)
        if lines_of_function(node) > LINES_OF_A_FUNCTION
    ]
    assert not long, "\n".join(long)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_name_says_what_is_inside(path: Path) -> None:
    for part in path.relative_to(ROOT).with_suffix("").parts:
        assert part.rpartition("_")[2] not in BANNED_NAMES, f"{part} says nothing"
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef):
            assert not node.name.endswith(("Manager", "Helper", "Helpers", "Utils")), node.name


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), "no docstring"


@pytest.mark.parametrize("folder", PACKAGES, ids=name_of)
def test_a_folder_is_a_package(folder: Path) -> None:
    assert (folder / "__init__.py").is_file()


def test_a_table_is_told_from_code() -> None:
    rows = "".join(f"    {number}: 'row',\n" for number in range(500))
    code = "".join(f"def f{number}() -> int:\n    return {number}\n" for number in range(250))
    assert is_table(f'"""Rows."""\nROWS = {{\n{rows}}}\n')
    assert is_table(f'"""Rows."""\nROWS = _rows(\n{rows.replace(":", ",")})\n')
    assert not is_table(f'"""Code."""\n{code}')
    assert not is_table(f'"""Both."""\nROWS = {{\n{rows}}}\n{code}')


def test_a_long_function_is_seen_and_its_docstring_is_not() -> None:
    body = "    pass\n" * LINES_OF_A_FUNCTION
    words = '    """' + "word\n" * 50 + '    """\n'
    (too_long,) = functions(ast.parse(f"def f():\n{body}"))
    (well_explained,) = functions(ast.parse(f"def f():\n{words}    pass\n"))
    assert lines_of_function(too_long) > LINES_OF_A_FUNCTION
    assert lines_of_function(well_explained) == 2
