"""Dates moved by whole days: times of day stay, and so do the distances between moments.

That is how the Retain Longitudinal Temporal Information with Modified Dates Option is done here
(PS3.15 E.3.6): all dates of a patient by the same number of days, so that studies that span
midnight and computations such as those of SUV still hold.
"""

from __future__ import annotations

import datetime
import re

_DATE = re.compile(r"(\d{4})[.:/-]?(\d\d)[.:/-]?(\d\d)")
_DATE_TIME = re.compile(r"(\d{4})(\d\d)?(\d\d)?(.*)")


def shifted(vr: str, text: str, days: int) -> str:
    """The values of a DA or DT, each moved by so many days; what is no date is left out.

    A DT that says less than a day is moved from the middle of what it means, and keeps its
    precision. Other VRs have no date and come back as they are.
    """
    if vr not in ("DA", "DT"):
        return text
    move = _shifted_date if vr == "DA" else _shifted_date_time
    return "\\".join(move(each.strip(" \0"), days) for each in text.split("\\"))


def _shifted_date(text: str, days: int) -> str:
    found = _DATE.fullmatch(text)
    if found is None:
        return ""
    moved = _moved(int(found[1]), int(found[2]), int(found[3]), days)
    return "" if moved is None else _digits(moved)


def _shifted_date_time(text: str, days: int) -> str:
    found = _DATE_TIME.fullmatch(text)
    if found is None or (found[4] and not re.fullmatch(r"[\d.+&-]*", found[4])):
        return ""
    year, month, day, rest = found.groups()
    moved = _moved(int(year), int(month or 7), int(day or (15 if month else 1)), days)
    if moved is None:
        return ""
    length = 8 if day else 6 if month else 4
    return _digits(moved)[:length] + rest


def _moved(year: int, month: int, day: int, days: int) -> datetime.date | None:
    try:
        return datetime.date(year, month, day) + datetime.timedelta(days=days)
    except (ValueError, OverflowError):
        return None


def _digits(date: datetime.date) -> str:
    return f"{date.year:04}{date.month:02}{date.day:02}"
