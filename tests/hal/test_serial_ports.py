"""Devices on serial lines: pseudo-terminals for the bytes, `loop://` for the modem lines."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import serial
from hypothesis import given
from hypothesis import strategies as st

from hal.serial.base import (
    CodeRead,
    Garbage,
    LineReceived,
    PedalPressed,
    PedalReleased,
    PortReturned,
    PortVanished,
    SerialDevice,
    SerialEvent,
    Silence,
    WrongSettings,
    open_driver,
)
from hal.serial.code_reader import CodeReader
from hal.serial.foot_switch import FootSwitch
from hal.serial.keyboard import INPUT_EVENT, KeyboardReader
from hal.serial.line_protocol import LineProtocol
from hal.serial.simulator import SimulatedSerial
from tests.hal.serial_line import Line


class Clock:
    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    made = Line(tmp_path)
    yield made
    made.pull()


def gather(device: SerialDevice, wanted: type, seconds: float = 5.0) -> list[SerialEvent]:
    """Events until one of the kind wanted has come."""
    found: list[SerialEvent] = []
    end = time.monotonic() + seconds
    while not any(isinstance(each, wanted) for each in found):
        assert time.monotonic() < end, found
        found += device.events()
        time.sleep(0.005)
    return found


def codes(events: list[SerialEvent]) -> list[str]:
    return [each.text for each in events if isinstance(each, CodeRead)]


def test_a_reader_reads_codes_and_says_what_they_mean(line: Line) -> None:
    reader = CodeReader(
        str(line.path),
        identifier=True,
        patterns=["P(?P<PatientID>[0-9]+)", "(?P<AccessionNumber>A.*)"],
    )
    reader.open()
    gather(reader, PortReturned)
    line.say(b"]C1P4711\r\nA")
    (read,) = [e for e in gather(reader, CodeRead) if isinstance(e, CodeRead)]
    assert (read.text, dict(read.values)) == ("P4711", {"PatientID": "4711"})
    line.say(b"77\r")
    (read,) = [e for e in gather(reader, CodeRead) if isinstance(e, CodeRead)]
    assert dict(read.values) == {"AccessionNumber": "A77"}
    line.say(b"unknown\n")
    (read,) = [e for e in gather(reader, CodeRead) if isinstance(e, CodeRead)]
    assert dict(read.values) == {}
    reader.close()
    assert reader.deadline() is None


def test_a_port_that_vanishes_is_told_of_and_found_again(line: Line) -> None:
    reader = CodeReader(str(line.path))
    reader.open()
    gather(reader, PortReturned)
    line.say(b"HALF")
    line.pull()
    events = gather(reader, PortVanished)
    assert reader.descriptor is None
    line.plug()
    events += gather(reader, PortReturned)
    line.say(b"WHOLE\n")
    events += gather(reader, CodeRead)
    assert codes(events) == ["WHOLE"], "half a code of before is no code"
    reader.close()


def test_a_port_that_is_away_at_the_start_is_waited_for(tmp_path: Path) -> None:
    reader = CodeReader(str(tmp_path / "nothing"))
    reader.open()
    (away,) = reader.events()
    assert isinstance(away, PortVanished)
    assert reader.events() == []
    due = reader.deadline()
    assert due is not None
    assert due > time.monotonic()
    reader.close()


class Fed(CodeReader):
    """A reader without a port: fed by the test."""

    def __init__(self, clock: Clock, **settings: Any) -> None:
        super().__init__("loop://", now=clock, **settings)


@given(
    st.lists(st.text("ABCxyz0189-", min_size=1, max_size=12), min_size=1, max_size=5),
    st.sampled_from(["\r", "\n", "\r\n", "\x03"]),
    st.lists(st.integers(1, 7), min_size=1, max_size=60),
)
def test_codes_come_out_whole_however_they_come_in(
    texts: list[str], suffix: str, sizes: list[int]
) -> None:
    clock = Clock()
    reader = Fed(clock, suffix=suffix)
    data = "".join(each + suffix for each in texts).encode()
    events: list[SerialEvent] = []
    at = 0
    for size in sizes * len(data):
        events += reader.take(data[at : at + size], clock())
        at += size
    assert codes(events) == texts


@given(st.lists(st.binary(max_size=700), max_size=20))
def test_any_bytes_are_taken_in_bounded_memory(pieces: list[bytes]) -> None:
    clock = Clock()
    devices = [
        Fed(clock, prefix="~"),
        Fed(clock, suffix="", pause=0.1),
        LineProtocol("loop://", now=clock, framing="stx-etx", checksum="xor", longest=256),
        LineProtocol("loop://", now=clock, rules=[{"pattern": "(?P<x>.*)", "action": "y"}]),
        FootSwitch("loop://", now=clock, pressed={"left": "LD", "right": "LU"}),
    ]
    for piece in pieces:
        for device in devices:
            for event in device.take(piece, clock()):
                assert isinstance(event, SerialEvent)
            assert len(device._held) <= 2048


def test_a_pause_ends_a_code_where_there_is_no_suffix() -> None:
    clock = Clock()
    reader = Fed(clock, suffix="", pause=0.2)
    assert reader.take(b"CARD", clock()) == []
    assert reader.next_look() == pytest.approx(100.2)
    clock.at = 100.1
    assert reader.look(None, clock()) == []
    clock.at = 100.3
    assert codes(reader.look(None, clock())) == ["CARD"]


def test_a_code_too_long_is_garbage_and_the_next_one_is_read() -> None:
    clock = Clock()
    reader = Fed(clock)
    events = reader.take(b"x" * 5000, clock()) + reader.take(b"\nGOOD\n", clock())
    assert isinstance(events[0], Garbage)
    assert codes(events) == ["GOOD"]


def test_pedals_on_modem_lines_are_debounced() -> None:
    clock = Clock()
    switch = FootSwitch("loop://", lines={"left": "cts"}, debounce=0.05, now=clock)
    switch.open()
    assert isinstance(switch.events()[0], PortReturned)
    port = switch._serial
    port.rts = False
    clock.at += 1
    switch.events()
    clock.at += 1
    switch.events()
    port.rts = True  # loop:// gives RTS back as CTS.
    assert switch.events() == []
    clock.at += 0.02
    assert switch.events() == []
    clock.at += 0.05
    assert switch.events() == [PedalPressed(clock.at, "left")]
    port.rts = False
    switch.events()
    port.rts = True
    switch.events()
    clock.at += 0.01
    assert switch.events() == [], "a bounce is no release"
    clock.at += 1
    assert switch.events() == []
    port.rts = False
    switch.events()
    clock.at += 0.06
    assert switch.events() == [PedalReleased(clock.at, "left")]
    due = switch.deadline()
    assert due is not None
    assert due - clock.at <= 0.011
    switch.close()


def test_pedals_that_speak(line: Line) -> None:
    switch = FootSwitch(
        str(line.path), pressed={"left": "L1", "right": "R1"}, released={"left": "L0"}
    )
    switch.open()
    gather(switch, PortReturned)
    line.say(b"?L1L1R1L0")
    found = [
        type(e).__name__ + e.pedal for e in gather(switch, PedalReleased) if hasattr(e, "pedal")
    ]
    while len(found) < 4:
        found += [type(e).__name__ + e.pedal for e in switch.events() if hasattr(e, "pedal")]
    assert found == [
        "PedalPressedleft",
        "PedalPressedright",
        "PedalReleasedright",
        "PedalReleasedleft",
    ]
    switch.close()


def test_a_line_protocol_answers_by_its_rules(line: Line) -> None:
    device = LineProtocol(
        str(line.path),
        rules=[
            {"pattern": "START (?P<PatientID>.+)", "action": "start", "reply": "OK {PatientID}"},
            {"pattern": "FREEZE", "action": "freeze"},
        ],
    )
    device.open()
    gather(device, PortReturned)
    line.say(b"START 47")
    line.say(b"11\r\nFREEZE\r\nWHAT\r\n")
    lines: list[SerialEvent] = []
    while len(lines) < 3:
        lines += [e for e in device.events() if isinstance(e, LineReceived)]
    assert [(e.action, dict(e.values)) for e in lines if isinstance(e, LineReceived)] == [
        ("start", {"PatientID": "4711"}),
        ("freeze", {}),
        ("", {}),
    ]
    time.sleep(0.02)
    assert line.heard() == b"OK 4711\r\n"
    device.close()


@pytest.mark.parametrize("checksum", ["", "xor", "sum", "lrc"])
def test_frames_with_checksums(checksum: str) -> None:
    clock = Clock()
    device = LineProtocol(
        "loop://",
        framing="stx-etx",
        checksum=checksum,
        rules=[{"pattern": "(?P<v>.+)", "action": "a"}],
        now=clock,
    )
    sent: list[bytes] = []
    device.write = sent.append  # type: ignore[method-assign]
    device.send("HELLO")
    (frame,) = sent
    whole = device.take(b"junk" + frame, clock())
    assert [type(each) for each in whole] == [Garbage, LineReceived]
    singly = [e for byte in frame for e in device.take(bytes((byte,)), clock())]
    assert [e.text for e in singly if isinstance(e, LineReceived)] == ["HELLO"]
    if checksum:
        damaged = frame.replace(b"H", b"J")
        assert [type(each) for each in device.take(damaged, clock())] == [Garbage]


def test_polls_are_sent_and_silence_is_told_of() -> None:
    clock = Clock()
    device = LineProtocol("loop://", polls=[{"send": "STATUS?", "every": 2}], silence=5, now=clock)
    sent: list[bytes] = []
    device.write = sent.append  # type: ignore[method-assign]
    events = []
    for _ in range(6):
        events += device.look(None, clock())
        clock.at += 1
    assert sent == [b"STATUS?\r\n"] * 3
    assert events == [Silence(105.0)]


@pytest.mark.parametrize(
    ("driver", "options"),
    [
        ("code-reader", {"port": "loop://", "patterns": ["("]}),
        ("code-reader", {"port": "loop://", "patterns": ["no group"]}),
        ("code-reader", {"port": "loop://", "form": "9X1"}),
        ("foot-switch", {"port": "loop://"}),
        ("foot-switch", {"port": "loop://", "lines": {"left": "xyz"}}),
        ("line-protocol", {"port": "loop://", "framing": "morse"}),
        ("line-protocol", {"port": "loop://", "rules": [{"pattern": "["}]}),
        ("keyboard", {"device": "x", "keymap": "klingon"}),
        ("simulator", {"script": [{"after": 1}]}),
        ("simulator", {"nonsense": 1}),
        ("telepathy", {}),
    ],
)
def test_wrong_settings_are_refused_in_words(driver: str, options: dict[str, Any]) -> None:
    with pytest.raises(WrongSettings) as caught:
        open_driver(driver, **options)
    assert len(str(caught.value)) > 10


def keys(*codes_: int, shift: bool = False) -> bytes:
    pressed = [(42, 1)] * shift
    for code in codes_:
        pressed += [(code, 1), (code, 0)]
    pressed += [(42, 0)] * shift
    return b"".join(INPUT_EVENT.pack(0, 0, 1, code, value) for code, value in pressed)


@pytest.mark.parametrize(("keymap", "text"), [("us", "p1Z"), ("de", "p1Y")])
def test_a_wedge_types_codes(keymap: str, text: str) -> None:
    clock = Clock()
    reader = KeyboardReader("Barcode", keymap=keymap, now=clock)
    data = keys(25, 2) + keys(44, shift=True) + keys(28)
    assert codes(reader.take(data, clock())) == [text]
    # Bytes one by one cannot come: the kernel gives whole events.
    events = [
        e
        for at in range(0, len(data), INPUT_EVENT.size)
        for e in reader.take(data[at : at + INPUT_EVENT.size], clock())
    ]
    assert codes(events) == [text]


def test_a_wedge_that_is_not_there_is_waited_for() -> None:
    reader = KeyboardReader("no such reader")
    reader.open()
    (away,) = reader.events()
    assert isinstance(away, PortVanished)
    assert reader.deadline() is not None
    reader.close()


def test_the_simulator_plays_its_script_and_a_shell_can_play_the_operator(tmp_path: Path) -> None:
    clock = Clock()
    device = SimulatedSerial(
        script=[{"after": 2, "press": "left"}, {"after": 1, "read": "P1"}],
        fifo=str(tmp_path / "operator"),
        patterns=["(?P<PatientID>P.*)"],
        now=clock,
    )
    device.open()
    assert isinstance(device.events()[0], PortReturned)
    assert device.deadline() == 101.0
    clock.at = 101.0
    (read,) = device.events()
    assert isinstance(read, CodeRead)
    assert dict(read.values) == {"PatientID": "P1"}
    clock.at = 102.5
    assert device.events() == [PedalPressed(102.5, "left"), PedalReleased(102.5, "left")]
    with (tmp_path / "operator").open("w") as pipe:
        pipe.write("press right\nread P2\n")
    assert [type(each).__name__ for each in device.events()] == [
        "PedalPressed",
        "PedalReleased",
        "CodeRead",
    ]
    device.close()
    assert device.events() == []


def test_a_port_that_another_holds_is_busy(line: Line) -> None:
    held = serial.Serial(str(line.path), exclusive=True)
    reader = CodeReader(str(line.path))
    from hal.serial.base import PortBusy

    with pytest.raises(PortBusy):
        reader.open()
    held.close()
