"""A worklist folder that others write to: one bad file spoils no query, no link leads out."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.archive import worklist_store
from agent.archive.matching_rules import MatchingRules
from agent.archive.worklist_store import WorklistPage, add_entry, entries_of, find_entries
from agent.dataset.attributes import Attributes
from agent.dataset.attributes_encoding import encode_attributes
from agent.dataset.transfer_syntaxes import by_name
from tests.fuzz.targets.worklist import example_entry

_ALL = encode_attributes(Attributes(PatientID="", PatientName="*"), by_name("explicit"))


def answered(folder: Path) -> WorklistPage:
    return find_entries(str(folder), "ROOM1", _ALL, MatchingRules(unknown_matches=False))


def _deep(path: Path) -> None:
    path.write_text("[" * 500_000)


def _zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _outside(path: Path) -> None:
    secret = path.parents[1] / "secret.json"
    secret.write_text(json.dumps({"PatientID": "secret"}))
    path.symlink_to(secret)


BAD: dict[str, Callable[[Path], object]] = {
    "nested without end": _deep,
    "a number": lambda path: path.write_text("1"),
    "an array of numbers": lambda path: path.write_text("[1, 2]"),
    "no text": lambda path: path.write_bytes(b"\xff\xfe\x00"),
    "a pipe": os.mkfifo,
    "a folder": Path.mkdir,
    "a link to zeros without end": _zeros,
    "a link that leads out": _outside,
    "too large": lambda path: path.write_bytes(b" " * (worklist_store.LARGEST_FILE + 1)),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_told_and_the_others_are_answered_from(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "worklist"
    add_entry(str(folder), example_entry())
    BAD[name](folder / "bad.json")
    begun = time.monotonic()
    page = answered(folder)
    assert time.monotonic() - begun < 10
    assert len(page.matches) == 1
    (remark,) = page.remarks
    assert remark.startswith("bad.json: ")
    assert "secret" not in remark


def test_a_value_that_no_answer_can_carry_is_told_and_left_out_of_its_entry(
    tmp_path: Path,
) -> None:
    add_entry(str(tmp_path), example_entry())
    bad = example_entry()
    bad.set("StudyInstanceUID", "1.2.4")
    bad.set("PatientSex", "Ö")
    bad.item_of("ScheduledProcedureStepSequence").set("ScheduledProcedureStepStatus", "BEGONNEN Ä")
    add_entry(str(tmp_path), bad)
    page = answered(tmp_path)
    assert len(page.matches) == 2
    left_out = sorted(each.partition(": ")[2].partition(" ")[0] for each in page.remarks)
    assert left_out == ["PatientSex", "ScheduledProcedureStepStatus"]


def test_an_entry_is_not_answered_without_what_it_must_have_though_a_file_has_it(
    tmp_path: Path,
) -> None:
    add_entry(str(tmp_path), example_entry())
    bad = example_entry()
    bad.set("StudyInstanceUID", "1.2.4")
    bad.item_of("ScheduledProcedureStepSequence").set("ScheduledStationAETitle", "RÖNTGEN")
    add_entry(str(tmp_path), bad)
    page = answered(tmp_path)
    assert len(page.matches) == 1
    assert "lacks ScheduledStationAETitle" in page.remarks[-1]


def test_a_writer_who_keeps_the_lock_does_not_stop_the_worklist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_entry(str(tmp_path), example_entry())
    monkeypatch.setattr(worklist_store, "_PATIENCE", 0.1)
    with (tmp_path / worklist_store.LOCK_FILE).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert len(answered(tmp_path).matches) == 1


def test_a_lock_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    add_entry(str(tmp_path), example_entry())
    os.mkfifo(tmp_path / worklist_store.LOCK_FILE)
    assert len(answered(tmp_path).matches) == 1


def test_an_entry_is_not_written_through_a_link(tmp_path: Path) -> None:
    folder = tmp_path / "worklist"
    name = add_entry(str(folder), example_entry())
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (folder / f"{name}.new").symlink_to(victim)
    add_entry(str(folder), example_entry())
    assert victim.read_text() == "mine"
    assert len(answered(folder).matches) == 1


def test_what_is_remembered_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worklist_store, "MOST_BYTES", 10_000)
    monkeypatch.setattr(worklist_store, "_read", {})
    monkeypatch.setattr(worklist_store, "_bytes_read", 0)
    for number in range(100):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps({"PatientID": "1" * 1000}))
        entries_of(path)
        assert len(worklist_store._read) < 13
