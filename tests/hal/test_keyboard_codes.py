"""A wedge's keys become codes; a code of which a key is missing or unknown is none."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.serial import keyboard
from hal.serial.base import CodeRead, Garbage, PortVanished, SerialEvent, WrongSettings
from hal.serial.keyboard import INPUT_EVENT, KEYMAPS, KeyboardReader

ENTER, SHIFT, CONTROL, ALT, ALT_GRAPH = 28, 42, 29, 56, 100


def event(kind: int, code: int, value: int) -> bytes:
    return INPUT_EVENT.pack(0, 0, kind, code, value)


def key(code: int, *held: int) -> bytes:
    """A key pressed and released while others are held, each in a packet of its own."""
    steps = [(each, 1) for each in held] + [(code, 1), (code, 0)] + [(each, 0) for each in held]
    return b"".join(event(1, each, value) + event(0, 0, 0) for each, value in steps)


def told(events: list[SerialEvent]) -> list[str]:
    return [each.text if isinstance(each, CodeRead) else type(each).__name__ for each in events]


def typed(text: str, keymap: str) -> bytes:
    found = b""
    for each in text:
        for code, levels in KEYMAPS[keymap].items():
            if each in levels:
                held = ((), (SHIFT,), (ALT_GRAPH,))[levels.index(each)]
                found += key(code, *held)
                break
    return found


def characters(keymap: str) -> str:
    return "".join(sorted({each for levels in KEYMAPS[keymap].values() for each in levels if each}))


def test_the_keymaps_have_all_that_is_printed_on_a_code() -> None:
    printable = {chr(each) for each in range(0x20, 0x7F)}
    assert printable <= set(characters("us"))
    assert printable | set("äöüÄÖÜß§°") <= set(characters("de"))


@pytest.mark.parametrize("keymap", ["us", "de"])
@given(data=st.data())
def test_what_is_typed_is_read(keymap: str, data: st.DataObject) -> None:
    text = data.draw(st.text(characters(keymap), min_size=1, max_size=20))
    reader = KeyboardReader("wedge", keymap=keymap)
    assert told(reader.take(typed(text, keymap) + key(ENTER), 1.0)) == [text]


@pytest.mark.parametrize(
    ("code", "held", "text"),
    [
        (16, (ALT_GRAPH,), "@"),
        (12, (ALT_GRAPH,), "\\"),
        (86, (), "<"),
        (86, (ALT_GRAPH,), "|"),
        (21, (), "z"),
        (83, (), ","),
        (13, (), "´"),
    ],
)
def test_german_keys(code: int, held: tuple[int, ...], text: str) -> None:
    reader = KeyboardReader("wedge", keymap="de")
    assert told(reader.take(key(code, *held) + key(ENTER), 1.0)) == [text]


def test_control_and_a_bracket_are_the_separator_of_gs1() -> None:
    reader = KeyboardReader("wedge")
    data = key(2) + key(27, CONTROL) + key(3) + key(ENTER)
    assert told(reader.take(data, 1.0)) == ["1\x1d2"]


@pytest.mark.parametrize(
    "wrong",
    [
        key(59),  # F1
        key(30, ALT),
        key(2, CONTROL),
        key(30, ALT_GRAPH),
        event(0, 3, 0) + event(0, 0, 0),
        key(2) * 513,
    ],
    ids=["unknown", "alt", "control", "alt-graph", "dropped", "overlong"],
)
def test_a_code_with_a_key_that_is_lost_or_means_nothing_is_no_code(wrong: bytes) -> None:
    reader = KeyboardReader("wedge")
    found = reader.take(key(2) + key(3) + wrong + key(4) + key(ENTER), 1.0)
    assert told(found) == ["Garbage"]
    assert told(reader.take(key(5) + key(ENTER), 1.0)) == ["4"], "and the next one is whole"


def test_after_keys_were_lost_all_is_void_up_to_the_next_packet() -> None:
    reader = KeyboardReader("wedge")
    # The release of Shift was lost, and what is left of a packet follows.
    data = event(1, SHIFT, 1) + event(0, 3, 0) + event(1, 2, 1) + event(0, 0, 0)
    found = reader.take(data + key(ENTER) + key(30) + key(ENTER), 1.0)
    assert told(found) == ["Garbage", "a"]


def test_locks_and_keys_held_down_type_nothing() -> None:
    reader = KeyboardReader("wedge")
    data = key(58) + key(69) + event(1, 2, 1) + event(1, 2, 2) + event(1, 2, 0) + key(ENTER)
    assert told(reader.take(data, 1.0)) == ["1"]


def test_a_pause_ends_a_code_also_where_the_owner_is_late() -> None:
    reader = KeyboardReader("wedge", pause=0.5)
    assert reader.take(key(2), 1.0) == []
    assert told(reader.take(key(3) + key(ENTER), 9.0)) == ["1", "2"]


@given(st.binary(max_size=INPUT_EVENT.size * 20))
def test_any_bytes_are_taken(data: bytes) -> None:
    reader = KeyboardReader("wedge")
    assert all(isinstance(each, CodeRead | Garbage) for each in reader.take(data, 1.0))
    assert len(reader._held) <= 512


def test_what_is_no_input_device_is_refused_and_what_is_away_is_waited_for(tmp_path: Path) -> None:
    reader = KeyboardReader("/dev/null")
    with pytest.raises(WrongSettings, match="no input device"):
        reader.open()
    assert reader.deadline() is None
    reader = KeyboardReader(str(tmp_path / "event0"))
    reader.open()
    assert [type(each) for each in reader.events()] == [PortVanished]
    assert reader.deadline() is not None
    reader.close()


_PROGRAM = """
#include <stdio.h>
#include <linux/input.h>
int main(void) {
  printf("%zu %lu %lu %d %d %d %d %d %d %d %d %d\\n", sizeof(struct input_event),
    (unsigned long)EVIOCGRAB, (unsigned long)EVIOCGKEY((KEY_CNT + 7) / 8), (KEY_CNT + 7) / 8,
    EV_SYN, EV_KEY, SYN_REPORT, SYN_DROPPED, KEY_LEFTCTRL, KEY_LEFTALT, KEY_RIGHTALT, KEY_102ND);
}
"""


@pytest.mark.skipif(
    shutil.which("cc") is None or not Path("/usr/include/linux/input.h").exists(),
    reason="needs a C compiler and the kernel's headers",
)
def test_structures_and_numbers_are_those_of_the_kernel(tmp_path: Path) -> None:
    source = tmp_path / "input.c"
    source.write_text(_PROGRAM)
    subprocess.run(["cc", "-o", str(tmp_path / "input"), str(source)], check=True)
    said = subprocess.run([str(tmp_path / "input")], capture_output=True, text=True, check=True)
    assert [int(each) for each in said.stdout.split()] == [
        INPUT_EVENT.size,
        keyboard.EVIOCGRAB,
        keyboard.EVIOCGKEY,
        keyboard.KEYS_SIZE,
        *(keyboard.EV_SYN, keyboard.EV_KEY, keyboard.SYN_REPORT, keyboard.SYN_DROPPED),
        *(CONTROL, ALT, ALT_GRAPH, 86),
    ]
