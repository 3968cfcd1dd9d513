"""When a mail is tried again, and when that has gone on for too long."""

from __future__ import annotations

import pytest

from agent.configuration.connection import Retry
from agent.errors import DeviceError
from agent.workflow.export_mail_waits import MailWaits
from agent.workflow.export_record import IN_PROGRESS, ExportRecord
from agent.workflow.export_settings import FOLDER, MAIL, Plan, Target

WHY = DeviceError("451 later")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def record(kind: str = MAIL) -> ExportRecord:
    plan = Plan("STD-GEN-ZIP-MAIL", ("1.2",), (1,), (), (), 1, "")
    return ExportRecord(7, IN_PROGRESS, 1000.0, Target(kind, "mailto:a@b"), plan)


def waits(**more: float) -> tuple[MailWaits, Clock]:
    clock = Clock()
    retry = Retry(**({"first": 30.0, "longest": 100.0, "jitter": 0.0} | more))
    return MailWaits(lambda: retry, clock), clock


def test_each_wait_is_longer_up_to_the_longest() -> None:
    made, clock = waits()
    mail = record()
    assert not made.is_early(mail)
    for seconds in (30.0, 60.0, 100.0, 100.0):
        assert not made.is_over(mail, WHY)
        assert made.is_early(mail)
        assert made.until_next(None) == seconds
        assert made.until_next(2.0) == 2.0
        clock.now += seconds
        assert not made.is_early(mail)
    made.forget(mail)
    assert made.until_next(None) is None


@pytest.mark.parametrize(("more", "last"), [({"attempts": 3}, 3), ({"age": 100.0}, 4)])
def test_it_is_given_up_after_so_many_tries_or_so_long(more: dict[str, float], last: int) -> None:
    made, clock = waits(**more)
    mail = record()
    for _ in range(last - 1):
        assert not made.is_over(mail, WHY)
        clock.now += 34.0
    assert made.is_over(mail, WHY)
    assert mail.reason.startswith(f"given up after {last} tries in 0.0 h: ")
    assert "451 later" in mail.reason


def test_other_targets_do_not_wait_by_this() -> None:
    made, _ = waits(attempts=1)
    assert not made.is_over(record(FOLDER), WHY)
    assert not made.is_early(record(FOLDER))
