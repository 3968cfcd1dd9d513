"""The lines of keys in TOML texts."""

from __future__ import annotations

import tomllib
from textwrap import dedent
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agent.configuration.positions import lines_of
from agent.configuration.toml_text import key_text, value_text
from tests.configuration.test_assignment import values

TEXT = '''\
# a comment with [brackets] and = signs
top = 1

[node]  # behind a header
state = "a # no comment [ ]"
text = """
[not.a.header]
fake = 1
"""
literal = \'\'\'
[[nor.this]]
\'\'\'
list = [
    1,  # ]
    "]",
]
after.dotted = { a = [1, 2], b = "}" }
"quoted key" = 1

[[entity]]
name = "A"
[entity.timers]
idle = 1
[[entity.service]]
name = "s1"
[[entity.service]]
name = "s2"
[[entity]]
name = "B"
[[entity.service]]
name = "s3"
'''


def test_headers_and_keys_are_found_on_their_lines() -> None:
    tomllib.loads(TEXT)
    lines = lines_of(TEXT)
    wanted: dict[tuple[str | int, ...], str] = {
        ("top",): "top = 1",
        ("node",): "[node]  # behind a header",
        ("node", "literal"): "literal = '''",
        ("node", "list"): "list = [",
        ("node", "after", "dotted"): 'after.dotted = { a = [1, 2], b = "}" }',
        ("node", "quoted key"): '"quoted key" = 1',
        ("entity", 0, "timers", "idle"): "idle = 1",
        ("entity", 0, "service", 1, "name"): 'name = "s2"',
        ("entity", 1, "service", 0, "name"): 'name = "s3"',
    }
    text = TEXT.splitlines()
    assert {path: text[lines[path] - 1] for path in wanted} == wanted
    assert ("node", "fake") not in lines
    assert ("not", "a", "header") not in lines


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
            st.dictionaries(
                st.text(st.characters(exclude_categories=["Cs"]), max_size=6), values, max_size=4
            ),
        ),
        max_size=4,
        unique_by=lambda table: table[0],
    )
)
def test_every_key_of_a_written_text_is_found_on_the_line_it_was_written_to(
    tables: list[tuple[str, dict[str, Any]]],
) -> None:
    written: list[str] = []
    expected: dict[tuple[str | int, ...], int] = {}
    for name, table in tables:
        written.append(f"[{key_text(name)}]")
        expected[(name,)] = len(written)
        for key, value in table.items():
            written.append(f"{key_text(key)} = {value_text(value)}")
            expected[(name, key)] = len(written)
    text = "\n".join(written)
    tomllib.loads(text)
    assert lines_of(text) == expected


@given(st.text(alphabet="ab=.[]{}\"'#\n 1", max_size=60))
def test_no_text_at_all_makes_it_fail_or_hang(text: str) -> None:
    lines_of(text)


def test_a_long_text_takes_no_longer_than_it_is_long() -> None:
    text = dedent('[[entity]]\nname = "x"\n') * 20000
    assert len(lines_of(text)) == 40001
