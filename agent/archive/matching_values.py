"""One key against the values of one attribute (PS3.4 C.2.2.2.1 to C.2.2.2.8).

Each maker takes the text of a key and gives a function that is asked with the text of one value.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable

from agent.dataset import date_time

Test = Callable[[str], bool]

WILD_CARDS = frozenset(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"))
"""VRs in whose keys `*` and `?` are wild cards (C.2.2.2.4)."""
RANGES = frozenset(("DA", "TM", "DT"))
"""VRs in whose keys `-` makes a range (C.2.2.2.5)."""

_LONGEST_RANGE = 2 * 26 + 9
"""Characters of two moments of DT (PS3.5 6.2), the dash between them and blanks."""
_EARLIEST = datetime.datetime(1, 1, 1)

Interval = date_time.Interval


def is_wild(vr: str, key: str) -> bool:
    """Whether the key has wild cards."""
    return vr in WILD_CARDS and ("*" in key or "?" in key)


def is_range(vr: str, key: str) -> bool:
    """Whether the key is a range; of DT, the sign of an offset from UTC makes none."""
    if vr == "DT":
        return len(_split_date_times(key)) == 2
    return vr in ("DA", "TM") and "-" in key


def exactly(key: str) -> Test:
    """Single value matching, case-sensitive (C.2.2.2.1)."""
    return lambda value: value == key


def wild(pattern: str) -> Test:
    """Wild card matching (C.2.2.2.4): `*` is any characters or none, `?` exactly one, of any kind.

    In time proportional to pattern and value.
    """
    first, *others = [_chunk(each) for each in re.split(r"\*+", pattern)]
    if not others:
        found = re.compile(first, re.DOTALL).fullmatch
    else:
        # What stands between two stars is taken where it is found first, and never tried again.
        middle = "".join(f"(?>.*?{each})" for each in others[:-1] if each)
        found = re.compile(f"{first}{middle}.*{others[-1]}", re.DOTALL).fullmatch
    return lambda value: found(value) is not None


def _chunk(text: str) -> str:
    return ".".join(re.escape(each) for each in text.split("?"))


def number(key: str) -> Test:
    """DS and IS by their meaning: 1 and 1.0 are the same (C.2.2.2.1)."""
    wanted = _number(key)
    return lambda value: _number(value) == wanted


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def moment(vr: str, key: str) -> Test:
    """DA, TM or DT: a single value at the key's own precision, or a range (C.2.2.2.5)."""
    within = interval(vr, key)
    if within is None:
        return exactly(key)
    first, last = within

    def matches(value: str) -> bool:
        held = interval(vr, value, single=True)
        # A value less precise than the key is where its beginning is.
        return held is not None and first <= held[0] <= last

    return matches


def interval(vr: str, text: str, *, single: bool = False) -> Interval | None:
    """The moments that a key or a value of DA, TM or DT stands for; None where it is malformed.

    A time lies on the first day there is; of DT, an offset from UTC is taken away.
    """
    if single or not is_range(vr, text):
        return _moments(vr, text)
    if vr == "DT":
        begin, end = _split_date_times(text)
    else:
        begin, _, end = text.partition("-")
    first, last = _moments(vr, begin), _moments(vr, end)
    if (begin.strip() and first is None) or (end.strip() and last is None):
        return None
    latest = date_time.LATEST if vr != "TM" else _EARLIEST.replace(hour=23, minute=59, second=59)
    if vr == "TM":
        latest = latest.replace(microsecond=999999)
    return first[0] if first else _EARLIEST, last[1] if last else latest


def _split_date_times(text: str) -> list[str]:
    """The two ends of a range of DT; one element where it is none (C.2.2.2.5.3)."""
    if len(text) > _LONGEST_RANGE:
        return [text]
    for match in re.finditer("-", text):
        before, after = text[: match.start()].strip(), text[match.end() :].strip()
        if (not before or _moments("DT", before)) and (not after or _moments("DT", after)):
            # -0500 behind a moment is its offset unless something follows that is a moment.
            is_offset = before and re.fullmatch(r"(0\d|1[0-4])[0-5]\d", after)
            if not is_offset:
                return [before, after]
    return [text]


def _moments(vr: str, text: str) -> Interval | None:
    text = text.strip()
    if vr == "DA":
        text = text.replace(".", "")
        if len(text) != 8:
            return None
    if vr == "TM":
        text = "00010101" + text.replace(":", "")
    return date_time.interval_of(text)
