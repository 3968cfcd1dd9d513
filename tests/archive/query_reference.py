"""Attribute matching and both search methods by brute force, from PS3.4 C.2.2.2 and C.4.1.3 alone.

It goes through data sets of pydicom one by one and shares no code with the product. What the
standard leaves open is decided as our conformance statement does: names without regard to case,
numbers by their value, several values of a key without negotiation as any of them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pydicom import Dataset
from pydicom.datadict import keyword_for_tag
from pydicom.valuerep import PersonName

LEVELS = ("PATIENT", "STUDY", "SERIES", "IMAGE")
UNIQUE = {
    "PATIENT": "PatientID",
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
}
HOME = {
    "PATIENT": {"PatientID", "PatientName", "PatientBirthDate", "PatientSex", "PatientComments"},
    "STUDY": {
        "StudyInstanceUID",
        "StudyDate",
        "StudyTime",
        "AccessionNumber",
        "StudyID",
        "StudyDescription",
        "ReferringPhysicianName",
        "ModalitiesInStudy",
        "NumberOfStudyRelatedSeries",
        "NumberOfStudyRelatedInstances",
        "ProcedureCodeSequence",
    },
    "SERIES": {
        "SeriesInstanceUID",
        "Modality",
        "SeriesNumber",
        "SeriesDescription",
        "NumberOfSeriesRelatedInstances",
        "Manufacturer",
        "RequestAttributesSequence",
    },
    "IMAGE": {"SOPInstanceUID", "SOPClassUID", "InstanceNumber", "Rows", "ImageType"},
}
WILD = {"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"}
EMPTY = {"AE", "CS", "DA", "DT", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UR", "UT"}
PAIRS = {"StudyDate": "StudyTime"}


@dataclass(frozen=True)
class Negotiated:
    """What extended negotiation came to."""

    relational: bool = False
    date_time: bool = False
    empty: bool = False
    multiple: bool = False


class Refused(Exception):
    """The identifier breaks C.4.1.2.1."""


def texts(value: Any) -> list[str]:
    """The values of an element as texts."""
    if value is None or value == "":
        return []
    if isinstance(value, str | int | float | PersonName) or not isinstance(value, Iterable):
        return [str(value).strip(" ")] if str(value) else []
    found = [str(each).strip(" ") for each in value]
    return found if any(found) else []


def glob(pattern: str, text: str) -> bool:
    """C.2.2.2.4, by the definition."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(glob(pattern[1:], text[start:]) for start in range(len(text) + 1))
    if not text:
        return False
    return pattern[0] in ("?", text[0]) and glob(pattern[1:], text[1:])


def name(text: str) -> str:
    """What our statement says of names: no case, no trailing empty components."""
    folded = "".join(
        each.casefold() if len(each.casefold()) == 1 else each
        for each in unicodedata.normalize("NFC", text)
    )
    return folded.strip().rstrip("^ ")


def clock(text: str, *, end: bool = False) -> str:
    """A time as microseconds count it, at the beginning or end of what it says."""
    whole, _, fraction = text.replace(":", "").partition(".")
    filler = "235959" if end else "000000"
    return whole + filler[len(whole) :] + (fraction.ljust(6, "9" if end else "0"))


def in_range(vr: str, key: str, value: str) -> bool:
    """C.2.2.2.5.1 and .2; a single value is a range of itself."""
    if vr == "DA":
        begin, _, end = key.partition("-") if "-" in key else (key, "", key)
        return (not begin or value >= begin) and (not end or value <= end)
    begin, _, end = key.partition("-") if "-" in key else (key, "", key)
    moment = clock(value)
    return (not begin or moment >= clock(begin)) and (not end or moment <= clock(end, end=True))


def value_matches(vr: str, key: str, value: str) -> bool:
    """One value of a key against one of an entity."""
    if vr == "PN":
        groups = value.split("=")
        if "=" not in key:
            return any(glob(name(key), name(each)) for each in groups)
        wanted = key.split("=")
        groups += [""] * (len(wanted) - len(groups))
        return all(
            not name(each) or glob(name(each), name(group))
            for each, group in zip(wanted, groups, strict=False)
        )
    if vr in ("DA", "TM"):
        return in_range(vr, key, value)
    if vr in WILD and ("*" in key or "?" in key):
        return glob(key, value)
    if vr in ("IS", "DS", "US"):
        return float(key) == float(value)
    return key == value


def key_matches(element: Any, held: list[str], negotiated: Negotiated, *, unique: bool) -> bool:
    """C.2.2.2.1 to C.2.2.2.8 for an attribute that is no sequence."""
    vr, wanted = element.VR, texts(element.value)
    if not wanted or all(each and not each.strip("*") for each in wanted):
        return True
    if negotiated.empty and wanted == ['""'] and vr in EMPTY:
        return not held
    if not held:
        # C.2.2.1.2: unknown. Unique keys never are (C.2.2.1.1).
        return not unique
    if wanted == ['""'] and vr in ("DA", "TM"):
        return False
    if negotiated.multiple and len(wanted) > 1 and vr not in ("UI", "DA", "TM", "IS"):
        return all(any(value_matches(vr, key, each) for each in held) for key in wanted)
    return any(value_matches(vr, key, each) for key in wanted for each in held)


def matches(keys: Dataset, entity: Dataset, negotiated: Negotiated, unique: set[str]) -> bool:
    """Whether an entity matches all keys of an identifier, or an item those of the key's item."""
    paired = set()
    for date, time in PAIRS.items():
        if negotiated.date_time and date in keys and time in keys:
            days, times = str(keys[date].value or ""), str(keys[time].value or "")
            same = [(each[:1] == "-", each[-1:] == "-") for each in (days, times)]
            if "-" in days and "-" in times and same[0] == same[1]:
                paired = {date, time}
                if not _moment_matches(days, times, entity, date, time):
                    return False
    for element in keys:
        keyword = keyword_for_tag(element.tag)
        if keyword in paired:
            continue
        if element.VR == "SQ":
            items = list(entity.get(keyword) or [])
            wanted = element.value[0] if element.value else Dataset()
            asks = [each for each in wanted if texts(each.value)]
            if (
                asks
                and items
                and not any(matches(wanted, each, negotiated, set()) for each in items)
            ):
                return False
        elif not key_matches(
            element, texts(entity.get(keyword)), negotiated, unique=keyword in unique
        ):
            return False
    return True


def _moment_matches(days: str, times: str, entity: Dataset, date: str, time: str) -> bool:
    """C.2.2.2.5.4: the concatenated strings as one DT."""
    day, moment = "".join(texts(entity.get(date))), "".join(texts(entity.get(time)))
    if not day:
        # The date is unknown; of the time alone what it says for itself.
        return not moment or in_range("TM", times, moment)
    first, last = (
        (each + clock(part, end=bool(index))) if each else ""
        for index, (each, part) in enumerate(
            zip(days.partition("-")[::2], times.partition("-")[::2], strict=True)
        )
    )
    earliest = day + clock(moment or "00")
    latest = day + (clock(moment) if moment else clock("", end=True))
    return (not first or latest >= first) and (not last or earliest <= last)


class Archive:
    """Data sets, and the entities that they are of. An entity is what its first instance says."""

    def __init__(self, instances: Sequence[Dataset]) -> None:
        self.instances = instances

    def find(
        self, root: str, level: str, identifier: Dataset, negotiated: Negotiated
    ) -> list[dict[str, Any]]:
        """The responses, each by keyword; what is unsupported is not there."""
        levels = LEVELS if root == "patient" else LEVELS[1:]
        depth = levels.index(level)
        homes = {word: each for each, words in HOME.items() for word in words}
        keys, answered = Dataset(), []
        for element in identifier:
            keyword = keyword_for_tag(element.tag)
            home = homes.get(keyword)
            if home is None:
                continue
            at = levels.index(home) if home in levels else 0
            if at > depth:
                continue
            is_unique = any(keyword == UNIQUE[each] for each in levels)
            if at < depth and not negotiated.relational and not is_unique and texts(element.value):
                raise Refused(keyword)
            keys.add(element)
            answered.append(keyword)
        if not negotiated.relational:
            for each in levels[:depth]:
                wanted = texts(identifier.get(UNIQUE[each]))
                if len(wanted) != 1 or set(wanted[0]) & set("*?"):
                    raise Refused(UNIQUE[each])
        if not answered:
            return []
        unique = {UNIQUE[each] for each in levels}
        found, seen = [], set()
        for instance in self.instances:
            entity = self._entity(instance, level)
            identity = self._identity(instance, level)
            if identity in seen or (level == "PATIENT" and not texts(instance.get("PatientID"))):
                continue
            seen.add(identity)
            if matches(keys, entity, negotiated, unique):
                found.append({each: self._value(keys, entity, each) for each in answered})
        return found

    def _identity(self, instance: Dataset, level: str) -> tuple[str, ...]:
        if level == "PATIENT":
            return ("PATIENT", str(instance.get("PatientID", "")))
        if level == "SERIES":
            return (instance.StudyInstanceUID, instance.SeriesInstanceUID)
        return (str(instance[UNIQUE[level]].value),)

    def _entity(self, instance: Dataset, level: str) -> Dataset:
        entity = Dataset()
        entity.update(instance)
        study = [
            each for each in self.instances if each.StudyInstanceUID == instance.StudyInstanceUID
        ]
        series = [each for each in study if each.SeriesInstanceUID == instance.SeriesInstanceUID]
        entity.ModalitiesInStudy = sorted({str(each.Modality) for each in study if each.Modality})
        entity.NumberOfStudyRelatedSeries = len({str(each.SeriesInstanceUID) for each in study})
        entity.NumberOfStudyRelatedInstances = len(study)
        entity.NumberOfSeriesRelatedInstances = len(series)
        return entity

    def _value(self, keys: Dataset, entity: Dataset, keyword: str) -> Any:
        element = keys[keyword]
        if element.VR != "SQ":
            return texts(entity.get(keyword))
        items = list(entity.get(keyword) or [])
        if not element.value or not len(element.value[0]):
            return [{each.keyword: texts(each.value) for each in item} for item in items]
        wanted = element.value[0]
        return [
            {each.keyword: texts(item.get(each.keyword)) for each in wanted}
            for item in items
            if matches(wanted, item, Negotiated(), set())
        ]


def told(response: Dataset) -> dict[str, Any]:
    """A response by keyword, as `Archive.find` gives it."""
    found: dict[str, Any] = {}
    for element in response:
        if element.keyword in (
            "SpecificCharacterSet",
            "QueryRetrieveLevel",
            "RetrieveAETitle",
            "InstanceAvailability",
            "TimezoneOffsetFromUTC",
        ):
            continue
        if element.VR == "SQ":
            found[element.keyword] = [
                {each.keyword: texts(each.value) for each in item} for item in element.value
            ]
        else:
            found[element.keyword] = texts(element.value)
    return found


def comparable(responses: Iterable[dict[str, Any]]) -> list[str]:
    """In an order that does not depend on who answered."""
    return sorted(repr(sorted(each.items())) for each in responses)
