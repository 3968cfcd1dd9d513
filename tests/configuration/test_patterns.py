"""Regular expressions of routes: useful ones are taken, those that can be slow are not."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.configuration.patterns import LONGEST_VALUE, check_pattern, fits


@pytest.mark.parametrize(
    "text",
    [
        "CT.*",
        "[A-Z]{2,4}[0-9]+",
        "(CT|MR)-[0-9]{6}",
        "^A\\d+$",
        "(?i)chest.*ap",
        "A?B?C?",
        ".*X.*Y.*",
        "[0-9]+(-[0-9]+)?",
        "(?:ab)*",
        "(?!X).*",
    ],
)
def test_ordinary_expressions_are_taken(text: str) -> None:
    assert check_pattern(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "(a+)+b",
        "(a|aa)+b",
        "(a*)*",
        "((a{2,9}){2,9}){2,9}",
        "(.*a){20}",
        "(a?){30}a{30}",
        "a?" * 60 + "a" * 60,
        "a{0,60}" * 10,
        "(a+)\\1",
        "a" * 257,
        ".*.*.*.*x",
        "(?=.*.*.*.*x)a",
        "(",
        "[",
        "a**",
        "(?P<x>a)(?P=x)",
        "",
        "a{99999999999999999999}",
        7,
    ],
)
def test_expressions_that_can_be_slow_or_are_none_are_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        check_pattern(text)


@given(st.text(alphabet="ab.*+?{}()[]|^$\\123,", max_size=24), st.text(alphabet="ab", max_size=140))
def test_no_expression_that_is_taken_is_slow_on_any_value(text: str, value: str) -> None:
    try:
        check_pattern(text)
    except ValueError:
        return
    begin = time.process_time()
    fits(text, value)
    assert time.process_time() - begin < 1


def test_the_worst_that_is_taken_ends_soon_on_the_longest_value() -> None:
    text = check_pattern(".*a.*a.*b")
    begin = time.process_time()
    assert not fits(text, "a" * LONGEST_VALUE)
    assert time.process_time() - begin < 1
    assert re.fullmatch(".*", "a" * (LONGEST_VALUE + 1))
    assert not fits(".*", "a" * (LONGEST_VALUE + 1))
