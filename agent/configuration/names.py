"""Names of SOP classes and transfer syntaxes, found in the vocabulary and turned into UIDs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from agent.configuration.kind import INVALID, Place, Scalar, shown
from agent.configuration.kinds import UniqueIdentifier


class Names(tuple[str, ...]):
    """UIDs in order, without repetition; `written` keeps what the configuration said."""

    written: tuple[str, ...]

    def __new__(cls, uids: Iterable[str] = (), written: Iterable[str] | None = None) -> Names:
        made = super().__new__(cls, dict.fromkeys(uids))
        made.written = tuple(made if written is None else written)
        return made


class NamesOf(Scalar):
    """A list of names, UIDs and groups of one kind, in order of preference.

    A name with a "-" in front takes what it means out of what stands before it.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.allowed = f"{kind} names, UIDs, groups; '-NAME' takes one out again"

    def read(self, value: object, place: Place) -> Any:
        written = value if isinstance(value, list) else [value]
        uids: dict[str, None] = {}
        failed = False
        for word in written:
            found = self._resolve(word, place)
            if found is None:
                failed = True
            elif str(word).startswith("-"):
                for uid in found:
                    uids.pop(uid, None)
            else:
                uids.update(dict.fromkeys(found))
        return INVALID if failed else Names(uids, (str(word) for word in written))

    def write(self, value: Any) -> object:
        return list(getattr(value, "written", value))

    def _resolve(self, word: object, place: Place) -> tuple[str, ...] | None:
        if not isinstance(word, str) or not word.removeprefix("-"):
            self.refuse(word, place)
            return None
        word = word.removeprefix("-")
        if UniqueIdentifier.is_valid(word):
            return (word,)
        groups = place.vocabulary.groups(self.kind)
        names = place.vocabulary.names(self.kind)
        if not groups and not names:
            return (word,)
        if word in groups:
            return groups[word]
        found = names.get(word) or _spelled_loosely(word, names)
        if found:
            return (found,)
        place.report(
            f"there is no {self.kind} {shown(word)}",
            allowed=self.allowed + (f"; groups: {', '.join(groups)}" if groups else ""),
            suggestion=place.suggest(word, (*groups, *names)),
        )
        return None


def _loose(word: str) -> str:
    return "".join(each for each in word.lower() if each.isalnum())


def _spelled_loosely(word: str, names: Mapping[str, str]) -> str:
    """The UID of the one name that differs in case, spaces and dashes only."""
    wanted = _loose(word)
    found = {uid for name, uid in names.items() if _loose(name) == wanted}
    return found.pop() if len(found) == 1 else ""


class Term(Scalar):
    """One word out of a part of the vocabulary, such as a kind of capture device."""

    def __init__(self, kind: str, part: str, *, optional: bool = False) -> None:
        self.kind = kind
        self.part = part
        self.optional = optional
        self.allowed = f"the name of a {kind}" + (", or empty" if optional else "")

    def read(self, value: object, place: Place) -> Any:
        if value == "" and self.optional:
            return value
        words = tuple(getattr(place.vocabulary, self.part))
        if not isinstance(value, str) or not value:
            return self.refuse(value, place)
        if words and value not in words:
            return place.report(
                f"there is no {self.kind} {shown(value)}",
                allowed=", ".join(words),
                suggestion=place.suggest(value, words),
            )
        if value in place.vocabulary.unavailable:
            return place.report(
                f"{shown(value)} cannot be had: {place.vocabulary.unavailable[value]}",
                allowed=", ".join(each for each in words if each != value),
            )
        return value


class Attribute(Scalar):
    """A data element by keyword of PS3.6 or by tag: gives its tag as a number.

    The few keywords that rules use most are known here, so that the dictionary stays unread.
    """

    allowed = 'a keyword such as "PatientID", or a tag such as "0010,0020"'

    def read(self, value: object, place: Place) -> Any:
        if isinstance(value, str):
            digits = value.strip("()").replace(",", "").replace(" ", "")
            if len(digits) == 8 and all(each in "0123456789abcdefABCDEF" for each in digits):
                tag = int(digits, 16)
                # The file meta group and the command group are no part of a data set.
                return tag if tag >> 16 >= 0x0008 else self.refuse(value, place)
            known = WELL_KNOWN.get(value)
            if known is None and place.vocabulary.attribute is not None:
                known = place.vocabulary.attribute(value)
            if known is not None:
                return known
        words: Iterable[str] = WELL_KNOWN
        if place.vocabulary.attribute_keywords is not None:
            words = place.vocabulary.attribute_keywords()
        return place.report(
            f"there is no attribute {shown(value)}",
            allowed=self.allowed,
            suggestion=place.suggest(str(value), words),
        )

    def write(self, value: Any) -> object:
        for keyword, tag in WELL_KNOWN.items():
            if tag == value:
                return keyword
        return f"{value >> 16:04X},{value & 0xFFFF:04X}"


WELL_KNOWN: dict[str, int] = {
    "SpecificCharacterSet": 0x0008_0005,
    "ImageType": 0x0008_0008,
    "SOPClassUID": 0x0008_0016,
    "SOPInstanceUID": 0x0008_0018,
    "StudyDate": 0x0008_0020,
    "AccessionNumber": 0x0008_0050,
    "Modality": 0x0008_0060,
    "Manufacturer": 0x0008_0070,
    "InstitutionName": 0x0008_0080,
    "ReferringPhysicianName": 0x0008_0090,
    "StationName": 0x0008_1010,
    "StudyDescription": 0x0008_1030,
    "SeriesDescription": 0x0008_103E,
    "InstitutionalDepartmentName": 0x0008_1040,
    "ManufacturerModelName": 0x0008_1090,
    "PatientName": 0x0010_0010,
    "PatientID": 0x0010_0020,
    "IssuerOfPatientID": 0x0010_0021,
    "PatientBirthDate": 0x0010_0030,
    "PatientSex": 0x0010_0040,
    "OtherPatientIDsSequence": 0x0010_1002,
    "BodyPartExamined": 0x0018_0015,
    "DeviceSerialNumber": 0x0018_1000,
    "ProtocolName": 0x0018_1030,
    "StudyInstanceUID": 0x0020_000D,
    "SeriesInstanceUID": 0x0020_000E,
    "StudyID": 0x0020_0010,
    "BurnedInAnnotation": 0x0028_0301,
}
