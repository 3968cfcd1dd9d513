"""Clocks: the one that drivers measure with, and what is known of the calendar clock.

Drivers count in seconds of a monotonic clock that their owner hands in. The calendar clock (dates
and times in objects and logs) is another matter: a Raspberry Pi has no battery, so that after a
power cut without a network it says some day in the past, or the build day of the image. Nobody
can set it from here; `calendar()` says whether it may be believed.
"""

from __future__ import annotations

import ctypes
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    """What drivers read the time from: seconds, never going back; the owner's own clock."""

    def now(self) -> float: ...


class MonotonicClock:
    """The system's monotonic clock (CLOCK_MONOTONIC): the one that frame timestamps use too."""

    def now(self) -> float:
        return time.monotonic()


_EARLIEST = 1_735_689_600.0
"""2025-01-01T00:00:00Z: no box with this software existed before."""

_STA_UNSYNC = 0x0040
_TIME_ERROR = 5


class _Timex(ctypes.Structure):
    # adjtimex(2); the kernel writes into all of it, so it must be whole.
    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("time_seconds", ctypes.c_long),
        ("time_fraction", ctypes.c_long),
        ("tick", ctypes.c_long),
        ("reserve", ctypes.c_byte * 256),
    )


_SYNCHRONISED = Path("/run/systemd/timesync/synchronized")
"""Touched by systemd-timesyncd each time that it has heard its server."""


@dataclass(frozen=True, slots=True)
class CalendarState:
    """How far the calendar clock may be believed.

    `plausible`: not before this software existed. `synchronised`: the kernel holds it to be
    disciplined by a time server (adjtimex without STA_UNSYNC); None where that cannot be asked.
    `battery`: a hardware clock is there, so that the time outlives a power cut. `needs_server`: a
    battery is not enough (IHE Consistent Time asks for a median error below one second).
    """

    plausible: bool
    synchronised: bool | None
    battery: bool
    maximum_error: float | None = None
    """Seconds, as the kernel estimates it; None when not synchronised."""
    needs_server: bool = False

    @property
    def set(self) -> bool:
        """Dates may be written into objects without a remark."""
        enough = self.battery and not self.needs_server
        return self.plausible and (self.synchronised is True or enough)

    @property
    def reason(self) -> str:
        """Why not, in words for a person; empty when `set`."""
        if self.set:
            return ""
        if not self.plausible:
            return "the clock shows a date before this software was made"
        if self.battery:
            return "no time server has been reached, and a battery clock is not enough here"
        return "no time server has been reached and there is no battery clock"

    @property
    def words(self) -> str:
        """What is known of it, for a person; never empty."""
        if not self.set:
            return self.reason
        if self.synchronised is not True:
            return "set by a battery clock; no time server has been reached"
        within = f", within {self.maximum_error:.3f} s" if self.maximum_error is not None else ""
        return f"set by a time server{within}"


def calendar(
    *,
    earliest: float = _EARLIEST,
    needs_server: bool = False,
    wall: float | None = None,
    device_folder: Path = Path("/dev"),
    mark: Path = _SYNCHRONISED,
) -> CalendarState:
    """Look at the calendar clock now. Never blocks, never raises.

    `earliest` is the build date of the installed image in seconds since 1970, where known. Where
    the kernel does not let itself be asked, as in some sandboxes, the mark of systemd-timesyncd
    says whether a server has been heard since the system started.
    """
    seconds = time.time() if wall is None else wall
    synchronised, maximum_error = _kernel_state()
    if synchronised is None and mark.exists():
        synchronised = True
    return CalendarState(
        plausible=seconds >= earliest,
        synchronised=synchronised,
        battery=any((device_folder / name).exists() for name in ("rtc0", "rtc")),
        maximum_error=maximum_error,
        needs_server=needs_server,
    )


def _kernel_state() -> tuple[bool | None, float | None]:
    state = _Timex()
    try:
        answer = ctypes.CDLL(None).adjtimex(ctypes.byref(state))
    except (OSError, AttributeError):
        return None, None
    if answer < 0:
        return None, None
    if state.status & _STA_UNSYNC or answer == _TIME_ERROR:
        return False, None
    return True, state.maxerror / 1_000_000


def offset_from_utc(wall: float | None = None) -> str:
    """The local zone's offset at that moment as DICOM writes it: `+0530`, `-0300`, `+0000`.

    The form of Timezone Offset From UTC (0008,0201), PS3.3 C.12.1.1.8.
    """
    seconds = time.time() if wall is None else wall
    return time.strftime("%z", time.localtime(seconds))
