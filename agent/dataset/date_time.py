"""Values of VR DT as moments (PS3.5 6.2)."""

from __future__ import annotations

import datetime
import re

_DATE_TIME = re.compile(
    r"(?P<digits>\d{4}(?:\d\d){0,4}|\d{14}(?:\.(?P<fraction>\d{1,6}))?)(?P<offset>[+-]\d{4})?"
)


def moment_of(text: str, timezone: int = 0) -> datetime.datetime | None:
    """The moment at which a DT begins, in UTC; None for what is none.

    `timezone` is the offset in minutes that holds where the value does not say its own. What a
    value leaves out is its beginning: 2025 is the first of January, midnight.
    """
    found = _DATE_TIME.fullmatch(text.strip())
    if found is None:
        return None
    digits = found["digits"].partition(".")[0]
    parts = [int(digits[:4]), *(int(digits[at : at + 2]) for at in range(4, len(digits), 2))]
    year, month, day, hour, minute, second = (*parts, *(1, 1, 0, 0, 0)[len(parts) - 1 :])
    microsecond = int((found["fraction"] or "").ljust(6, "0"))
    offset = found["offset"]
    if offset is not None:
        timezone = int(offset[1:3]) * 60 + int(offset[3:5])
        timezone = -timezone if offset[0] == "-" else timezone
    try:
        # A leap second has no moment of its own here.
        local = datetime.datetime(year, month, day, hour, minute, min(second, 59), microsecond)
        return local - datetime.timedelta(minutes=timezone)
    except (ValueError, OverflowError):
        return None
