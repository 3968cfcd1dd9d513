"""A port: what is sent never waits, a port that flaps is let be, what cannot be is refused."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import serial

from hal.serial.base import (
    Garbage,
    PedalPressed,
    PedalReleased,
    PortBusy,
    PortReturned,
    PortVanished,
    SerialEvent,
    Silence,
    WrongSettings,
    open_driver,
)
from hal.serial.code_reader import CodeReader
from hal.serial.foot_switch import FootSwitch
from hal.serial.line_protocol import LineProtocol
from tests.hal.clocks import StoppedClock
from tests.hal.serial_line import Line


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    made = Line(tmp_path)
    yield made
    made.pull()


def test_a_device_that_does_not_read_holds_up_nobody_and_hears_whole_frames_later(
    line: Line,
) -> None:
    device = LineProtocol(str(line.path))
    device.open()
    begun = time.monotonic()
    for _ in range(200):
        device.send("x" * 498)
    assert time.monotonic() - begun < 1.0
    told = [each for each in device.events() if isinstance(each, Garbage)]
    assert len(told) == 1, "once, not for each frame"
    due = device.deadline()
    assert due is not None, "the rest is tried again"
    heard = b""
    end = time.monotonic() + 5
    while device.deadline() is not None:
        assert time.monotonic() < end
        heard += line.heard()
        device.events()
    device.send("and on")
    while not heard.endswith(b"and on\r\n"):
        assert time.monotonic() < end
        heard += line.heard()
    assert set(heard.split(b"\r\n")) == {b"x" * 498, b"and on", b""}
    device.close()


def test_a_port_that_flaps_is_looked_for_less_and_less(line: Line) -> None:
    clock = StoppedClock()
    reader = CodeReader(str(line.path), now=clock.now)
    reader.open()
    waits = []
    for _ in range(7):
        assert [type(each) for each in reader.events()][-1] is PortReturned
        line.pull()
        line.plug()
        assert [type(each) for each in reader.events()] == [PortVanished]
        due = reader.deadline()
        assert due is not None
        waits.append(due - clock.time)
        clock.time = due
    assert waits == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    reader.events()
    clock.pass_by(60)
    line.pull()
    reader.events()
    due = reader.deadline()
    assert due is not None
    assert due - clock.time == 0.25, "it had been there for a while"
    reader.close()


def test_a_port_without_modem_lines_is_away_and_not_told_of_without_end(line: Line) -> None:
    clock = StoppedClock()
    switch = FootSwitch(str(line.path), lines={"left": "ri"}, now=clock.now)
    switch.open()
    found: list[SerialEvent] = []
    for _ in range(60):
        found += switch.events()
        clock.pass_by(1)
    # A pseudo-terminal refuses to say how its lines are: TIOCMGET fails.
    assert 10 <= sum(isinstance(each, PortVanished) for each in found) <= 16
    switch.close()


def test_a_port_that_another_holds_is_busy_and_free_afterwards(line: Line) -> None:
    with serial.Serial(str(line.path), exclusive=True):
        reader = CodeReader(str(line.path))
        with pytest.raises(PortBusy):
            reader.open()
        assert (reader.deadline(), reader.events()) == (None, [])
    reader.open()
    assert [type(each) for each in reader.events()] == [PortReturned]
    # And is ours alone.
    other = os.open(line.path, os.O_RDWR | os.O_NOCTTY)
    with pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(other)
    reader.close()


def test_a_pedal_that_is_down_as_the_plug_is_pulled_comes_up(line: Line) -> None:
    switch = FootSwitch(str(line.path), pressed={"left": "L1"}, released={"left": "L0"})
    switch.open()
    line.say(b"L1")
    found: list[SerialEvent] = []
    while len(found) < 2:
        found += switch.events()
    line.pull()
    while len(found) < 4:
        found += switch.events()
    assert [type(each) for each in found] == [
        PortReturned,
        PedalPressed,
        PedalReleased,
        PortVanished,
    ]
    switch.close()


def test_pedals_may_share_the_word_for_coming_up() -> None:
    words = {"pressed": {"left": "L", "right": "R"}, "released": {"left": "0", "right": "0"}}
    switch = FootSwitch("loop://", **words)
    found = [
        f"{type(each).__name__} {each.pedal}"
        for each in switch.take(b"LR0R0", 1.0)
        if isinstance(each, PedalPressed | PedalReleased)
    ]
    assert found == [
        "PedalPressed left",
        "PedalPressed right",
        "PedalReleased left",
        "PedalReleased right",
        "PedalPressed right",
        "PedalReleased right",
    ]


def test_a_device_is_not_silent_while_its_port_is_away(line: Line) -> None:
    clock = StoppedClock()
    device = LineProtocol(str(line.path), silence=5, now=clock.now)
    clock.pass_by(100)
    device.open()
    assert [type(each) for each in device.events()] == [PortReturned], "not since it was made"
    line.pull()
    assert [type(each) for each in device.events()] == [PortVanished]
    clock.pass_by(100)
    line.plug()
    assert [type(each) for each in device.events()] == [PortReturned]
    clock.pass_by(5)
    assert device.events() == [Silence(clock.time)]
    device.close()


def test_a_device_is_asked_as_soon_as_it_is_back(line: Line) -> None:
    clock = StoppedClock()
    device = LineProtocol(str(line.path), polls=[{"send": "?", "every": 3600}], now=clock.now)
    device.open()
    device.events()
    assert line.heard() == b"?\r\n"
    line.pull()
    device.events()
    clock.pass_by(10)
    line.plug()
    device.events()
    time.sleep(0.02)
    assert line.heard() == b"?\r\n"
    device.close()


def test_a_rate_that_the_hardware_cannot_do_is_told_as_it_is_opened() -> None:
    reader = CodeReader("loop://", rate=2**33)
    with pytest.raises(WrongSettings, match="cannot be set up"):
        reader.open()
    assert reader.deadline() is None


@pytest.mark.parametrize(
    ("driver", "options"),
    [
        ("code-reader", {"port": ""}),
        ("code-reader", {"port": "rfc2217://localhost:1"}),
        ("code-reader", {"port": "spy:///dev/ttyS0"}),
        ("code-reader", {"port": "x", "form": "8N9"}),
        ("code-reader", {"port": "x", "form": "8Nx"}),
        ("code-reader", {"port": "x", "rate": "fast"}),
        ("code-reader", {"port": "x", "encoding": "klingon"}),
        ("code-reader", {"port": "x", "encoding": "hex"}),
        ("code-reader", {"port": "x", "pause": -1}),
        ("code-reader", {"port": "x", "patterns": "(?P<PatientID>.+)"}),
        ("foot-switch", {"port": "x", "pressed": {"left": "LD", "right": "L"}}),
        ("foot-switch", {"port": "x", "pressed": {"left": "L", "right": "L"}}),
        ("foot-switch", {"port": "x", "pressed": {"left": "L"}, "released": {"right": "r"}}),
        ("foot-switch", {"port": "x", "pressed": {"left": "✓"}}),
        ("foot-switch", {"port": "x", "lines": {"left": "cts"}, "inverted": ["right"]}),
        ("foot-switch", {"port": "x", "lines": {"left": "cts"}, "debounce": -1}),
        ("foot-switch", {"port": "socket://localhost:1", "lines": {"left": "cts"}}),
        ("line-protocol", {"port": "x", "polls": [{"send": "?", "every": 0}]}),
        ("line-protocol", {"port": "x", "polls": [{"send": "?"}]}),
        ("line-protocol", {"port": "x", "polls": [{"send": "?", "every": "often"}]}),
        ("line-protocol", {"port": "x", "rules": [{"pattern": "a", "reply": 7}]}),
        ("line-protocol", {"port": "x", "rules": [{"pattern": "(a+)+"}]}),
        ("line-protocol", {"port": "x", "longest": 0}),
        ("line-protocol", {"port": "x", "silence": -1}),
        ("line-protocol", {"port": "x", "end": "✓"}),
        ("line-protocol", {"port": "x", "encoding": "klingon"}),
        ("keyboard", {"device": ""}),
        ("keyboard", {"device": "x", "pause": -1}),
        ("simulator", {"script": [{"read": "x"}]}),
    ],
)
def test_settings_that_would_fail_later_are_refused_at_once(
    driver: str, options: dict[str, Any]
) -> None:
    with pytest.raises(WrongSettings) as caught:
        open_driver(driver, **options)
    assert len(str(caught.value)) > 10


def test_a_simulator_refuses_what_is_no_named_pipe(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    for wrong in (path, tmp_path / "no" / "folder"):
        device = open_driver("simulator", fifo=str(wrong))
        with pytest.raises(WrongSettings):
            device.open()
        assert device.descriptor is None
