"""The kinds of value that a key can have: how each is read, what it allows, how it is shown."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from agent.configuration.kind import INVALID, Kind, Place, Scalar, shown


class Flag(Scalar):
    """true or false."""

    allowed = "true or false"

    def read(self, value: object, place: Place) -> Any:
        return value if isinstance(value, bool) else self.refuse(value, place)


_UNIT_VALUE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z%]*)(?:/s)?\s*")

SIZE_UNITS = {
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
TIME_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


class Amount(Scalar):
    """A number within bounds; `zero` says what 0 means, and lets 0 lie outside of them.

    With `units`, a text such as "64 KiB" or "5 min" is taken as well.
    """

    def __init__(
        self,
        low: float,
        high: float | None = None,
        *,
        whole: bool = True,
        unit: str = "",
        zero: str = "",
        units: Mapping[str, float] | None = None,
    ) -> None:
        self.low = low
        self.high = high
        self.whole = whole
        self.unit = unit
        self.zero = zero
        self.units = units
        self.allowed = self._in_words()

    def _in_words(self) -> str:
        number = "a whole number" if self.whole else "a number"
        if self.unit:
            number += f" of {self.unit}"
        if self.high is None:
            text = f"{number} from {self.low:.15g} up"
        else:
            text = f"{number} from {self.low:.15g} to {self.high:.15g}"
        if self.units:
            text += f", or a text with a unit ({', '.join(self.units)})"
        if self.zero:
            text += f"; 0: {self.zero}"
        return text

    def read(self, value: object, place: Place) -> Any:
        number = self._number(value)
        if number is None:
            return self.refuse(value, place)
        if self.zero and number == 0:
            return number
        if number < self.low or (self.high is not None and number > self.high):
            return self.refuse(value, place)
        return number

    def write(self, value: Any) -> object:
        return int(value) if isinstance(value, float) and value.is_integer() else value

    def _number(self, value: object) -> float | int | None:
        if isinstance(value, bool):
            return None
        if isinstance(value, str) and self.units:
            match = _UNIT_VALUE.fullmatch(value)
            factor = self.units.get(match[2]) if match else None
            if match is None or factor is None:
                return None
            number = float(match[1]) * factor
            return round(number) if self.whole else number
        if isinstance(value, int):
            return value if self.whole else float(value)
        if isinstance(value, float) and not self.whole and math.isfinite(value):
            return value
        return None


def count(low: int, high: int | None = None, *, zero: str = "") -> Amount:
    """A whole number of things."""
    return Amount(low, high, zero=zero)


def size(low: int = 0, high: int | None = None, *, zero: str = "") -> Amount:
    """Bytes."""
    return Amount(low, high, unit="bytes", zero=zero, units=SIZE_UNITS)


def rate(low: int = 1, *, zero: str = "") -> Amount:
    """Bytes a second."""
    return Amount(low, None, unit="bytes a second", zero=zero, units=SIZE_UNITS)


def duration(low: float, high: float | None = None, *, zero: str = "") -> Amount:
    """Seconds."""
    return Amount(low, high, whole=False, unit="seconds", zero=zero, units=TIME_UNITS)


def fraction(low: float = 0.0, high: float = 1.0) -> Amount:
    """A part of a whole: 0.9, or "90 %"."""
    return Amount(low, high, whole=False, units={"%": 0.01})


class Text(Scalar):
    """Text of bounded length, by default without control characters; `what` says its form."""

    def __init__(self, maximum: int = 1024, *, minimum: int = 0, pattern: str = "", what: str = ""):
        self.minimum = minimum
        self.maximum = maximum
        self.pattern = re.compile(pattern) if pattern else None
        length = f"at most {maximum}" if not minimum else f"{minimum} to {maximum}"
        self.allowed = what or f"a text of {length} characters"

    def read(self, value: object, place: Place) -> Any:
        if not isinstance(value, str) or not self.minimum <= len(value) <= self.maximum:
            return self.refuse(value, place)
        if self.pattern is not None:
            fits = self.pattern.fullmatch(value) is not None
        else:
            fits = value.isprintable()
        return value if fits or not (value or self.minimum) else self.refuse(value, place)


def identifier() -> Text:
    """The name of a thing within the configuration."""
    return Text(
        64,
        minimum=1,
        pattern=r"[A-Za-z0-9_][A-Za-z0-9_.\-]*",
        what="1 to 64 letters, digits, '_', '.' and '-', the first a letter, a digit or '_'",
    )


class ApplicationEntityTitle(Scalar):
    """An AE title: PS3.5 Table 6.2-1, value representation AE; outer spaces do not count."""

    allowed = "1 to 16 characters of ASCII without '\\' and control characters, not only spaces"

    def __init__(self, *, optional: bool = False) -> None:
        self.optional = optional
        if optional:
            self.allowed = "empty, or " + type(self).allowed

    def read(self, value: object, place: Place) -> Any:
        if not isinstance(value, str):
            return self.refuse(value, place)
        title = value.strip(" ")
        if not title and self.optional and not value:
            return ""
        plain = title.isascii() and title.isprintable() and "\\" not in title
        return title if 1 <= len(title) <= 16 and plain else self.refuse(value, place)


class UniqueIdentifier(Scalar):
    """A UID: PS3.5 9.1."""

    allowed = "a UID: at most 64 digits and dots, no component with a leading zero"
    _form = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")

    def __init__(self, *, maximum: int = 64, optional: bool = True) -> None:
        self.maximum = maximum
        self.optional = optional
        if maximum != 64:
            self.allowed = self.allowed.replace("64", str(maximum))

    def read(self, value: object, place: Place) -> Any:
        if value == "" and self.optional:
            return value
        if not isinstance(value, str) or not self.is_valid(value) or len(value) > self.maximum:
            return self.refuse(value, place)
        return value

    @classmethod
    def is_valid(cls, text: str) -> bool:
        return len(text) <= 64 and cls._form.fullmatch(text) is not None


class Choice(Scalar):
    """One of a few words."""

    def __init__(self, *words: str) -> None:
        self.words = words
        self.allowed = ", ".join(f'"{word}"' for word in words)

    def read(self, value: object, place: Place) -> Any:
        if isinstance(value, str) and value in self.words:
            return value
        return self.refuse(value, place, place.suggest(str(value), self.words))


class Path(Scalar):
    """A path of the file system; absolute, so that it means the same wherever the node starts."""

    def __init__(self, *, optional: bool = True) -> None:
        self.optional = optional
        self.allowed = "an absolute path" + (", or empty" if optional else "")

    def read(self, value: object, place: Place) -> Any:
        if value == "" and self.optional:
            return value
        if isinstance(value, str) and value.startswith("/") and "\0" not in value:
            return value
        return self.refuse(value, place)


class FileMode(Scalar):
    """Permissions of a file as octal digits."""

    allowed = 'octal digits such as "0660"'

    def read(self, value: object, place: Place) -> Any:
        if isinstance(value, str) and re.fullmatch(r"0?[0-7]{3}", value):
            return int(value, 8)
        return self.refuse(value, place)

    def write(self, value: Any) -> object:
        return f"{value:04o}"


class FailureStatus(Scalar):
    """A DIMSE status of the failure class (PS3.7 Annex C): a number or four hexadecimal digits."""

    allowed = "a failure status, 0xA000 to 0xCFFF but not 0xB000 to 0xBFFF, or 0x0100 to 0x01FF"

    def read(self, value: object, place: Place) -> Any:
        number = value
        if isinstance(value, str) and re.fullmatch(r"(0[xX])?[0-9A-Fa-f]{4}H?", value):
            number = int(value.removeprefix("0x").removeprefix("0X").removesuffix("H"), 16)
        if isinstance(number, bool) or not isinstance(number, int):
            return self.refuse(value, place)
        if number >> 8 == 0x01 and number not in (0x0107, 0x0116):
            return number
        return number if number >> 12 in (0xA, 0xC) else self.refuse(value, place)

    def write(self, value: Any) -> object:
        return f"{value:04X}"


class ListOf:
    """A list of values of one kind; a value that stands alone is a list of one."""

    def __init__(self, kind: Kind, *, minimum: int = 0, maximum: int = 4096) -> None:
        self.kind = kind
        self.minimum = minimum
        self.maximum = maximum
        self.allowed = "a list, each: " + kind.allowed if kind.allowed else "a list"

    def read(self, value: object, place: Place) -> Any:
        values = value if isinstance(value, list) else [value]
        if not self.minimum <= len(values) <= self.maximum:
            return place.report(
                f"has {len(values)} elements", allowed=f"{self.minimum} to {self.maximum}"
            )
        read = [self.kind.read(each, place) for each in values]
        return INVALID if any(each is INVALID for each in read) else tuple(read)

    def write(self, value: Any) -> object:
        return [self.kind.write(each) for each in value]


class Table:
    """A table of its own keys; absent, it is its section with all defaults, or nothing at all."""

    def __init__(self, section: type, *, optional: bool = False) -> None:
        self.section = section
        self.optional = optional
        self.allowed = "a table"

    def read(self, value: object, place: Place) -> Any:
        if not isinstance(value, dict):
            return place.report(f"{shown(value)} is not a table", allowed=self.allowed)
        return place.section(self.section, value)

    def write(self, value: Any) -> object:
        return value


class Tables:
    """A list of tables of one section; with `named`, told apart (and merged) by their `name`."""

    def __init__(self, section: type, *, named: bool = True) -> None:
        self.section = section
        self.named = named
        self.allowed = "tables, each as [[...]]" + (" with a name" if named else "")

    def read(self, value: object, place: Place) -> Any:
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            return place.report(f"{shown(value)} is no list of tables", allowed=self.allowed)
        read = []
        names: set[object] = set()
        for index, each in enumerate(value):
            name = each.get("name") if self.named else None
            element = place.within(name if isinstance(name, str) and name else str(index + 1))
            if isinstance(name, str) and name in names:
                element.report("there are two of this name in one file")
            names.add(name if isinstance(name, str) else None)
            # What is switched off is read all the same, so that it is as well-formed as the rest.
            made = element.section(self.section, each)
            if made is not INVALID and getattr(made, "enabled", True):
                read.append(made)
        # One that could not be read was reported; the others stay, so that what refers to them is
        # not reported as well.
        return tuple(read)

    def write(self, value: Any) -> object:
        return list(value)


class Settings(Scalar):
    """A free table whose keys belong to a driver, which checks them itself."""

    def __init__(self, allowed: str = "a table of the driver's own settings") -> None:
        self.allowed = allowed

    def read(self, value: object, place: Place) -> Any:
        return dict(value) if isinstance(value, dict) else self.refuse(value, place)


class Mapped(Scalar):
    """A kind made of a function that gives a value or raises `ValueError` with what is wrong."""

    def __init__(
        self,
        allowed: str,
        convert: Callable[[object], Any],
        write: Callable[[Any], object] | None = None,
    ) -> None:
        self.allowed = allowed
        self._convert = convert
        self._write = write

    def read(self, value: object, place: Place) -> Any:
        try:
            return self._convert(value)
        except ValueError as error:
            reason = f" ({error})" if str(error) else ""
            return place.report(f"{shown(value)} is not allowed{reason}", allowed=self.allowed)

    def write(self, value: Any) -> object:
        return self._write(value) if self._write is not None else value
