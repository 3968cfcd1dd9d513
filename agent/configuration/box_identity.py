"""Who a box is that nobody has named: AE title and UID root from the serial number of its board."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from agent.dataset.uid import derived_root
from agent.errors import DeviceError
from hal.board import Board

_DIGITS = 8
_SHORTEST = 4
# What makers leave in DMI where a serial number should be.
_NO_NUMBERS = frozenset(
    (
        "123456789",
        "chassis serial number",
        "default string",
        "n/a",
        "none",
        "not applicable",
        "not specified",
        "o.e.m.",
        "system serial number",
        "to be filled by o.e.m.",
        "unknown",
    )
)


@dataclass(frozen=True, slots=True)
class BoxIdentity:
    """What a box is called; `source` says from what, for a person."""

    title: str
    uid_root: str
    source: str


def identity_of(board: Board) -> BoxIdentity:
    """The same for the same board, however often it is set up anew.

    Without a serial number it is the same for the same installation of the operating system, whose
    machine id is not given away. UIDs under the root have 20 digits of chance.
    """
    serial = board.serial_number.strip()
    plain = "".join(each for each in serial if each.isascii() and each.isalnum()).upper()
    if serial.lower() in _NO_NUMBERS or len(plain) < _SHORTEST or not plain.strip("0"):
        seed = board.application_id(b"gantry box identity")
        if not seed:
            raise DeviceError(
                "neither the board nor the system has a number by which to name this box",
                way_out="Write title and uid_root into gantry.conf.",
            )
        return BoxIdentity(
            f"GANTRY-{seed[:_DIGITS].upper()}", derived_root(_seed(seed)), "the machine id"
        )
    title = f"GANTRY-{plain[-_DIGITS:]}"
    root = derived_root(_seed(f"{board.model}\n{serial}"))
    return BoxIdentity(title, root, f"the serial number {serial}")


def _seed(text: str) -> bytes:
    return hashlib.sha256(f"gantry uid root\n{text}".encode()).digest()
