"""Texts of others inside sentences of ours: read in full by persons, left out by a log."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator

import pytest

from agent import observation
from agent.errors import PeerError, StatusReaction, StorageError
from agent.quoting import LEFT_OUT, Sentence, quoted

MARKS = ("\ufdd0", "\ufdd1", "\ufdd2")


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """What the log shows at its usual level."""
    found: list[str] = []
    observation.log.configure(write=found.append)
    yield found
    observation.log.configure()


def test_a_sentence_reads_in_full_and_is_logged_without_the_words_of_others() -> None:
    made = Sentence(f"{quoted('DOE^JOHN')} is no date of {quoted('x.dcm', 'inode 7')}")
    assert made == "DOE^JOHN is no date of x.dcm"
    assert made.in_log == "(...) is no date of (inode 7)"
    assert f"{made}, {made!s}" == "DOE^JOHN is no date of x.dcm, DOE^JOHN is no date of x.dcm"


def test_an_error_keeps_what_is_marked_in_another_and_across_processes() -> None:
    inner = PeerError(f"{quoted('DOE^JOHN')} is no date", clause="PS3.5 6.2")
    outer = StorageError(
        f"not stored: {quoted(inner)}",
        reaction=StatusReaction(0xC000, f"{quoted('4711')} is wrong"),
        way_out=f"look at {quoted('4711')}",
    )
    back = pickle.loads(pickle.dumps(outer))
    for error in (outer, back):
        assert str(error) == "not stored: DOE^JOHN is no date (PS3.5 6.2)"
        assert error.in_log == "not stored: (...) is no date (PS3.5 6.2)"
        assert error.reaction.comment == "4711 is wrong"
        assert error.reaction.comment.in_log == "(...) is wrong"
        assert error.way_out.in_log == "look at (...)"
        assert not [mark for mark in MARKS if mark in repr(error.args) + error.message]


def test_errors_of_others_are_told_by_class_and_those_of_the_system_without_the_file() -> None:
    gone = FileNotFoundError(2, "No such file or directory", "/in/DOE_JOHN.dcm")
    assert Sentence(f"{quoted(gone)}") == str(gone)
    assert Sentence(f"{quoted(gone)}").in_log == "[Errno 2] No such file or directory: (...)"
    assert Sentence(f"{quoted(ValueError('DOE'))}").in_log == "(ValueError)"


def test_marks_in_a_text_of_others_and_a_text_that_is_cut_let_nothing_out() -> None:
    hostile = f"A{MARKS[2]}DOE{MARKS[0]}B{MARKS[1]}C"
    assert Sentence(f"{quoted(hostile)}.").in_log == "(...)."
    whole = f"of {quoted('DOE^JOHN', 'it')} here"
    for end in range(len(whole)):
        assert not set("DOEJHN") & set(Sentence(whole[:end]).in_log)


def test_a_field_is_shown_by_its_name_or_its_type(lines: list[str]) -> None:
    observation.warning(
        "tried",
        peer="PACS",
        count=3,
        patient="DOE^JOHN",
        why="DOE^JOHN",
        error=PeerError(f"{quoted('DOE^JOHN')} is wrong"),
        file=quoted("DOE_JOHN.dcm", "inode 7"),
        note=Sentence("ours"),
        other=ValueError("DOE^JOHN"),
        none=None,
    )
    assert lines == [
        'tried peer=PACS count=3 patient=(...) why=(...) error="(...) is wrong"'
        ' file="(inode 7)" note=ours other=(ValueError)\n'
    ]


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_log_at_level_debug_has_a_line_of_that_level_with_all_of_it(style: str) -> None:
    found: list[str] = []
    observation.log.configure(level=observation.Level.DEBUG, style=style, write=found.append)
    observation.warning("tried", why="DOE^JOHN")
    observation.warning("tried", peer="PACS")
    observation.debug("tried", why="DOE^JOHN")
    observation.log.configure()
    assert [("DOE" in each, LEFT_OUT in each) for each in found] == [
        (False, True),
        (True, False),
        (False, False),
        (True, False),
    ]
    if style == "json":
        assert [json.loads(each)["level"] for each in found] == [
            "warning",
            "debug",
            "warning",
            "debug",
        ]


def test_an_error_that_nobody_foresaw_is_told_by_class_and_place(lines: list[str]) -> None:
    try:
        _ = {}["DOE^JOHN"]
    except KeyError as error:
        observation.error("failed", **observation.unforeseen(error))
    assert "DOE" not in lines[0]
    assert "error=(KeyError)" in lines[0]
    assert "test_quoting.py:" in lines[0]
