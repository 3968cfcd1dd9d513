"""`--set key=value`."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.configuration.assignment import AssignmentError, as_tree, parse_assignment
from agent.configuration.configuration import Configuration
from agent.configuration.load import load
from agent.configuration.problems import ConfigurationErrors
from agent.configuration.reading import dotted
from agent.configuration.toml_text import value_text
from tests.configuration.words import VOCABULARY

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values: st.SearchStrategy[Any] = st.recursive(
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)
keys = st.lists(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8),
    min_size=1,
    max_size=5,
)


@given(keys, values)
def test_every_key_and_value_that_toml_can_say_comes_back(parts: list[str], value: object) -> None:
    assert parse_assignment(f"{dotted(parts)}={value_text(value)}") == (tuple(parts), value)


@given(values)
def test_values_are_written_as_tomllib_reads_them(value: object) -> None:
    assert tomllib.loads(f"value = {value_text(value)}") == {"value": value}


@given(st.text(max_size=60))
def test_any_words_are_taken_or_refused_and_never_more(words: str) -> None:
    try:
        parts, _ = parse_assignment(words)
    except AssignmentError:
        return
    assert parts
    assert "=" in words


@given(st.text(alphabet="node.state=\"'[]{}\n#\\ 1é", max_size=40))
def test_any_words_lead_to_a_configuration_or_to_problems(words: str) -> None:
    try:
        load(files=[], overrides=[words], vocabulary=VOCABULARY)
    except ConfigurationErrors as errors:
        assert errors.problems
        str(errors)


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("a=1", 1),
        ("a = true ", True),
        ("a=/var/lib/x", "/var/lib/x"),
        ("a=0.5", 0.5),
        ("a=127.0.0.1", "127.0.0.1"),
        ("a=192.0.2.0/24", "192.0.2.0/24"),
        ("a=0x0A", 10),
        ("a=gateway", "gateway"),
        ("a='x=y'", "x=y"),
        ("a=x=y", "x=y"),
        ('a=["x", 1]', ["x", 1]),
        ("a={b = 1}", {"b": 1}),
        ('a=""', ""),
        ("a=30 d", "30 d"),
    ],
)
def test_the_value_is_toml_and_a_plain_word_is_a_text(words: str, value: object) -> None:
    if words == "a=30 d":
        # It begins like a number and is none: quotes are asked for rather than guessed.
        with pytest.raises(AssignmentError):
            parse_assignment(words)
        return
    assert parse_assignment(words) == (("a",), value)


@pytest.mark.parametrize(
    "words",
    [
        "",
        "=",
        "a",
        "=1",
        "a..b=1",
        ".a=1",
        "a.=1",
        "a=",
        'a="',
        "a=[1",
        "a b=1",
        "a=1\nb=2",
        "a=1\n[c]",
        '"a=1',
        "a=1 # x\ny=2",
    ],
)
def test_what_has_not_the_form_is_refused(words: str) -> None:
    with pytest.raises(AssignmentError):
        parse_assignment(words)


def test_lists_of_tables_are_addressed_by_name() -> None:
    assert as_tree(("entity", "GANTRY", "port"), 1, Configuration) == {
        "entity": [{"name": "GANTRY", "port": 1}]
    }
    assert as_tree(("entity", "G.1", "service", "storage", "roles"), ["scp"], Configuration) == {
        "entity": [{"name": "G.1", "service": [{"name": "storage", "roles": ["scp"]}]}]
    }
    assert as_tree(("node", "state"), "/x", Configuration) == {"node": {"state": "/x"}}


def test_a_new_table_can_be_made_and_a_known_one_changed_on_the_command_line() -> None:
    configuration = load(
        "gateway",
        files=[],
        overrides=[
            "entity.GANTRY.port=104",
            "entity.GANTRY.port=11113",
            'peer.PACS={ addresses = ["192.0.2.1:104"] }',
            "peer.PACS.window.associations=4",
            'route.all.deliver="PACS"',
            "entity.GANTRY.accept.calling=any",
        ],
        vocabulary=VOCABULARY,
    )
    assert configuration.entities[0].port == 11113
    assert configuration.peers[0].window.associations == 4
    assert configuration.routes[0].deliver == ("PACS",)
    assert configuration.origin.overrides[0] == "entity.GANTRY.port"


def test_a_mistyped_entity_does_not_silently_become_a_new_one() -> None:
    with pytest.raises(ConfigurationErrors, match="offer nothing"):
        load("gateway", files=[], overrides=["entity.GANTRI.port=104"], vocabulary=VOCABULARY)
