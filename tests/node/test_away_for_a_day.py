"""RIS and archive are away for a day, by a clock that the tests move: everything is made up for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

from agent.archive.worklist_store import add_entry
from tests.node.moved_clock import MovedClock
from tests.node.running import free_port
from tests.node.test_commitment import CommittingArchive
from tests.node.test_examination import Clinic
from tests.node.test_steps import until
from tests.node.test_worklist import entry

HOUR = 3600.0
LONGEST_WAIT = 900.0 * 1.2
"""Between two tries, with the retry table as it is when nothing is configured."""

QUICK = '[peer.retry]\nfirst = "0.2 s"\nlongest = "0.5 s"\n'
COMMITS = 'services = ["storage", "commitment"]\n[peer.commitment]\neach = "study"\n'


class Away:
    """A clinic whose peers can be away, and the clock of its box."""

    def __init__(self, folder: Path) -> None:
        self.archive = CommittingArchive(free_port(), 0)
        self.clinic = Clinic(folder, self.archive.port)
        self.box = self.clinic.box
        self.steps = self.clinic.steps
        self.archive.caller = self.box.port
        text = self.box.configuration.read_text().replace(QUICK, "")
        text = text.replace(
            'calling = "any"\n',
            'calling = "any"\n[[entity.service]]\nname = "commitment"\nroles = ["scu", "scp"]\n',
        )
        self.box.configuration.write_text(text.replace("[[route]]", f"{COMMITS}[[route]]", 1))
        self.clock = MovedClock(self.box)

    def failures(self) -> tuple[int, int]:
        """Of tries at the archive, and at the RIS."""
        log = self.box.log
        return log.count("delivery failed"), log.count("errand failed peer=RIS")

    def examine(self, number: int) -> tuple[Any, list[str]]:
        """A whole examination; what it began with, and its objects in the order of capture."""
        begun = self.clinic.start(number)
        made = self.clinic.exam("capture", stills=2)
        made += self.clinic.exam("capture", stills=1)
        self.clinic.exam("finish")
        return begun, [each["sop_instance_uid"] for each in made]

    def pass_hours(self, hours: int) -> None:
        """Each with a try at each peer, at least."""
        for _ in range(hours):
            before = self.failures()
            self.clock.advance(HOUR)
            until(
                lambda before=before: all(map(int.__gt__, self.failures(), before)),
                lambda: self.box.log,
            )

    def back(self) -> None:
        """The peers answer again; the next tries are due."""
        self.archive.start()
        self.steps.start()
        self.clock.advance(LONGEST_WAIT)


@pytest.fixture
def away(tmp_path: Path) -> Iterator[Away]:
    made = Away(tmp_path)
    for number in (1, 2):
        add_entry(str(made.clinic.worklist), entry(number))
    with made.clinic:
        made.box.ask("worklist", refresh=True)
        made.clinic.ris.kill()
        made.steps.stop()
        yield made
    made.archive.stop()


def named(change: Dataset) -> list[str]:
    return [
        str(item.ReferencedSOPInstanceUID)
        for series in change.PerformedSeriesSequence
        for item in series.ReferencedImageSequence
    ]


def test_after_a_day_all_is_delivered_reported_and_committed_in_order(away: Away) -> None:
    days = {time.strftime("%Y%m%d")}
    first, shown = away.examine(1)
    days.add(time.strftime("%Y%m%d"))
    away.pass_hours(12)
    away.box.kill()
    away.box.start()
    second, seen = away.examine(2)
    away.pass_hours(12)
    assert away.archive.stored == []
    away.back()
    until(lambda: len(away.archive.stored) == 6, lambda: away.box.log)
    until(lambda: len(away.steps.said) == 4, lambda: away.box.log)
    assert [each for each in away.archive.stored if each in shown] == shown
    assert [each for each in away.archive.stored if each in seen] == seen
    assert [(what, uid) for what, uid, _ in away.steps.said] == [
        ("create", first["step"]),
        ("set", first["step"]),
        ("create", second["step"]),
        ("set", second["step"]),
    ]
    begun, over, _, late = (each for _, _, each in away.steps.said)
    # Reported is when it happened, not when the RIS was there to hear of it.
    assert {begun.PerformedProcedureStepStartDate, over.PerformedProcedureStepEndDate} <= days
    assert (over.PerformedProcedureStepStatus, named(over)) == ("COMPLETED", shown)
    assert named(late) == seen
    away.clock.advance(60.0)
    until(lambda: len(away.archive.asked) == 2, lambda: away.box.log)
    for asked, uids in zip(away.archive.asked, (shown, seen), strict=True):
        assert [str(each.ReferencedSOPInstanceUID) for each in asked.ReferencedSOPSequence] == uids
        assert away.archive.report(asked) == 0
    until(lambda: not away.box.ask("queue")["items"], lambda: away.box.log)
    assert len(away.archive.stored) == 6
    assert len(away.steps.said) == 4


def test_a_commitment_may_come_hours_later_and_is_asked_for_again_after_a_day(away: Away) -> None:
    away.archive.start()
    away.steps.start()
    _, shown = away.examine(1)
    until(lambda: len(away.archive.stored) == 3, lambda: away.box.log)
    away.clock.advance(60.0)
    until(lambda: away.archive.asked, lambda: away.box.log)
    until(lambda: "commitment asked" in away.box.log, lambda: away.box.log)
    away.box.kill()
    away.box.start()
    away.clock.advance(23 * HOUR)
    assert len(away.box.ask("queue")["items"]) == 3
    away.clock.advance(2 * HOUR)
    until(lambda: len(away.archive.asked) == 2, lambda: away.box.log)
    early, late = away.archive.asked
    assert early.TransactionUID != late.TransactionUID
    assert len(late.ReferencedSOPSequence) == 3
    until(lambda: away.box.log.count("commitment asked") == 2, lambda: away.box.log)
    away.box.kill()
    away.box.start()
    away.clock.advance(20 * HOUR)
    assert away.archive.report(late) == 0
    until(lambda: not away.box.ask("queue")["items"], lambda: away.box.log)
    assert sorted(away.archive.stored) == sorted(shown)
