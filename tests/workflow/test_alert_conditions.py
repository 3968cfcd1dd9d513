"""What is found wrong with a box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agent.configuration.alerts import Alerts
from agent.configuration.configuration import Configuration
from agent.errors import StorageError
from agent.workflow import supervision
from agent.workflow.alert_conditions import Conditions, absent
from agent.workflow.alert_record import Wrong
from hal.clock import CalendarState
from tests.loop.running import run


@dataclass
class Usage:
    part: float


@dataclass
class Box:
    """A node that is looked at; an archive without jobs."""

    configuration: Configuration = Configuration()  # noqa: RUF009
    part: float = 0.1
    clock: CalendarState = CalendarState(True, True, True)  # noqa: RUF009
    listing: Sequence[Mapping[str, Any]] = ()
    faults: int | None = 0
    fails: bool = False
    pool: Any = None
    archives: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.archives = {"main": self}

    def usage(self) -> Usage:
        if self.fails:
            raise StorageError("the volume is away")
        return Usage(self.part)

    async def destinations(self) -> list[Any]:
        return []

    def calendar_state(self) -> CalendarState:
        return self.clock

    def certificates(self) -> Sequence[Mapping[str, Any]]:
        return self.listing

    def doctor_faults(self) -> int | None:
        return self.faults


def found(box: Box) -> dict[str, Wrong]:
    """By its key."""
    wrong: dict[str, Wrong] = run(Conditions(box).look)
    return wrong


def certificate(mood: str, days: float = 3.5) -> dict[str, Any]:
    return {"file": "/etc/gantry/a.crt", "subject": "CN=Doe", "mood": mood, "days": days}


def test_of_a_box_that_is_well_nothing_is_found() -> None:
    assert found(Box(listing=[certificate("good")])) == {}


@pytest.mark.parametrize(
    ("box", "key", "text"),
    [
        (Box(part=0.96), "disk main", "the archive main is 96% full"),
        (Box(faults=2), "doctor", "`gantry doctor` finds 2 faults"),
        (Box(fails=True), "failing archive main", "the archive main cannot be used"),
        (
            Box(listing=[certificate("soon")]),
            "certificate /etc/gantry/a.crt",
            "the certificate /etc/gantry/a.crt expires in 3.5 days",
        ),
        (
            Box(listing=[certificate("expired", -1)]),
            "certificate /etc/gantry/a.crt",
            "the certificate /etc/gantry/a.crt has expired",
        ),
        (
            Box(listing=[certificate("bad")]),
            "certificate /etc/gantry/a.crt",
            "the certificate /etc/gantry/a.crt cannot be read",
        ),
    ],
)
def test_what_is_wrong_is_found_and_said(box: Box, key: str, text: str) -> None:
    assert {name: each.text for name, each in found(box).items()} == {key: text}
    kinds = Configuration(alerts=Alerts(left_out=(key.partition(" ")[0],)))
    box.configuration = kinds
    assert found(box) == {}


def test_a_clock_must_be_uncertain_for_a_while() -> None:
    wrong = found(Box(clock=CalendarState(True, False, False)))["clock"]
    assert wrong.patience == Alerts().clock
    assert "no time server" in wrong.text


def test_work_that_fails_between_two_looks_is_found() -> None:
    conditions = Conditions(Box())
    assert run(conditions.look) == {}
    supervision.FAULTS.of("worklist").add()
    assert list(run(conditions.look)) == ["failing worklist"]
    assert run(conditions.look) == {}


def test_before_the_doctor_has_looked_nobody_knows() -> None:
    assert Conditions(Box(faults=None)).unknown == ("doctor",)
    assert Conditions(Box(faults=0)).unknown == ()


def test_what_is_not_there_is_absent(tmp_path: Path) -> None:
    there, gone = str(tmp_path), str(tmp_path / "gone")
    assert absent([there, gone]) == [gone]
