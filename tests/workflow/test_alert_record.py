"""What is told of an alert: once, once more when it is over, and nothing twice after a restart."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as some

from agent.errors import StorageError
from agent.workflow.alert_record import BEGUN, GOES_ON, OVER, AlertRecord, Told, Wrong
from agent.workflow.alerts import is_quiet

DISK = {"disk": Wrong("the disk is full")}


def what(record: AlertRecord, channel: str, moment: float, repeat: float = 0.0) -> list[str]:
    """What a channel tells now."""
    due = record.due(channel, moment, repeat)
    record.told(channel, due, moment)
    return [each.what for each in due]


def test_each_alert_is_told_once_and_again_when_it_is_over() -> None:
    record = AlertRecord()
    record.look(DISK, 100)
    assert what(record, "mail", 100) == [BEGUN]
    record.look(DISK, 160)
    assert what(record, "mail", 160) == []
    record.look({}, 220)
    assert what(record, "mail", 220) == []
    record.look({}, 280)
    assert what(record, "mail", 280) == [OVER]
    record.look({}, 340)
    assert what(record, "mail", 340) == []
    record.look(DISK, 400)
    assert what(record, "mail", 400) == [BEGUN]


def test_what_comes_and_goes_is_one_alert() -> None:
    record = AlertRecord()
    said = []
    for moment in range(0, 600, 60):
        record.look(DISK if moment % 120 else {}, moment)
        said += what(record, "mail", moment)
    assert said == [BEGUN]


def test_what_must_last_is_not_told_before() -> None:
    record = AlertRecord()
    clock = {"clock": Wrong("the clock is not certain", patience=3600)}
    record.look(clock, 0)
    assert what(record, "mail", 3599) == []
    assert record.listing(3599) == []
    assert what(record, "mail", 3600) == [BEGUN]
    record.look({"other": Wrong("x", 100)}, 0)
    record.look({}, 50)
    record.look({"other": Wrong("x", 100)}, 60)
    assert [each for each in record.due("mail", 120, 0) if each.key == "other"] == []


def test_what_goes_on_is_told_again_after_the_time_for_it() -> None:
    record = AlertRecord()
    said = []
    for moment in range(0, 10_000, 1000):
        record.look(DISK, moment)
        said += what(record, "mail", moment, repeat=4000)
    assert said == [BEGUN, GOES_ON, GOES_ON]


def test_each_channel_hears_all_and_one_that_failed_hears_it_later() -> None:
    record = AlertRecord()
    record.look(DISK, 0)
    assert what(record, "syslog central", 0) == [BEGUN]
    record.look({}, 60)
    record.look({}, 120)
    assert what(record, "syslog central", 120) == [OVER]
    # Who never heard of it need not hear that it is over.
    assert what(record, "mail", 120) == []
    assert record.as_text() == AlertRecord().as_text()


def test_channels_that_are_gone_hold_up_nothing() -> None:
    record = AlertRecord()
    record.look(DISK, 0)
    what(record, "mail", 0)
    record.look({}, 60)
    record.look({}, 120)
    record.keep_channels(["syslog central"])
    assert record.as_text() == AlertRecord().as_text()


def test_of_what_nobody_knows_nothing_is_said() -> None:
    record = AlertRecord()
    record.look({"doctor": Wrong("3 faults")}, 0)
    what(record, "mail", 0)
    for moment in (60, 120, 180):
        record.look({}, moment, unknown=["doctor"])
        assert what(record, "mail", moment) == []


@given(some.lists(some.tuples(some.booleans(), some.booleans(), some.booleans()), max_size=30))
def test_whatever_happens_beginnings_and_ends_take_turns(
    steps: list[tuple[bool, bool, bool]],
) -> None:
    record = AlertRecord()
    told: list[str] = []
    for number, (is_wrong, can_tell, restarts) in enumerate(steps):
        record.look(DISK if is_wrong else {}, number)
        if can_tell:
            told += what(record, "mail", number)
        if restarts:
            kept, record = record.as_text(), AlertRecord()
            record.recall(kept)
    assert told == [BEGUN if number % 2 == 0 else OVER for number in range(len(told))]


@pytest.mark.parametrize("text", ["{", "[]", '{"number": 1, "alerts": {"a": {"b": 1}}}', "7"])
def test_a_damaged_record_is_told_and_begun_anew(text: str) -> None:
    with pytest.raises(StorageError):
        AlertRecord().recall(text)


@pytest.mark.parametrize(
    ("hours", "clock", "quiet"),
    [
        ("", "03:00", False),
        ("22:00-06:00", "21:59", False),
        ("22:00-06:00", "22:00", True),
        ("22:00-06:00", "05:59", True),
        ("22:00-06:00", "06:00", False),
        ("12:00-13:30", "13:29", True),
        ("12:00-13:30", "11:59", False),
    ],
)
def test_quiet_hours(hours: str, clock: str, quiet: bool) -> None:
    assert is_quiet(hours, time.strptime(clock, "%H:%M")) is quiet


def test_a_mail_has_one_name_for_one_tiding() -> None:
    from agent.workflow.alert_mail import composed

    told = Told("disk", BEGUN, "the disk is full", 1.0, 0.0)
    first, again = (composed("a@b.example", ["c@d.example"], "box", [told]) for _ in range(2))
    other = composed("a@b.example", ["c@d.example"], "box", [told._replace(what=OVER, over=2.0)])
    assert first["Message-ID"] == again["Message-ID"] != other["Message-ID"]
    assert first["Subject"] == "box: the disk is full"
    assert other["Subject"] == "box: over: the disk is full"
