"""Specific Character Set (0008,0005): text of every defined term, with code extensions.

PS3.5 6.1 and PS3.3 C.12.1.1.2. ASCII, Latin-1 and UTF-8 are decoded here; every other term goes
through pydicom's tables, imported when the first such text comes. Nothing in a data set makes
decoding fail: a wrong term or a wrong byte is tolerated, and `character_set` says what was wrong.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NamedTuple

from agent.dataset.value_representations import VALUE_REPRESENTATIONS
from agent.errors import LocalError

_ESCAPE = b"\x1b"
_GB_2312 = b"\x1b$)A"

# Codecs of Python for the terms that need nothing else.
_SIMPLE = {
    "": "ascii",
    "ISO_IR 6": "ascii",
    "ISO 2022 IR 6": "ascii",
    "ISO_IR 100": "latin-1",
    "ISO_IR 192": "utf-8",
    # Latin-9 (PS3.3 Table C.12-2) is younger than pydicom's table.
    "ISO_IR 203": "iso8859-15",
}

_WITHOUT_EXTENSIONS = (
    "ISO_IR 13",
    "ISO_IR 100",
    "ISO_IR 101",
    "ISO_IR 109",
    "ISO_IR 110",
    "ISO_IR 126",
    "ISO_IR 127",
    "ISO_IR 138",
    "ISO_IR 144",
    "ISO_IR 148",
    "ISO_IR 166",
    "ISO_IR 203",
)
_WITH_EXTENSIONS = (
    "ISO 2022 IR 6",
    "ISO 2022 IR 13",
    "ISO 2022 IR 58",
    "ISO 2022 IR 87",
    "ISO 2022 IR 100",
    "ISO 2022 IR 101",
    "ISO 2022 IR 109",
    "ISO 2022 IR 110",
    "ISO 2022 IR 126",
    "ISO 2022 IR 127",
    "ISO 2022 IR 138",
    "ISO 2022 IR 144",
    "ISO 2022 IR 148",
    "ISO 2022 IR 149",
    "ISO 2022 IR 159",
    "ISO 2022 IR 166",
    "ISO 2022 IR 203",
)
_ALONE = ("ISO_IR 192", "GB18030", "GBK")

DEFINED_TERMS = frozenset((*_WITHOUT_EXTENSIONS, *_WITH_EXTENSIONS, *_ALONE))
"""PS3.3 Tables C.12-2 to C.12-5."""

_BY_LETTERS = {
    **{"".join(filter(str.isalnum, term)).upper(): term for term in sorted(DEFINED_TERMS)},
    "ISOIR6": "ISO_IR 6",
    "UTF8": "ISO_IR 192",
    "ISO88591": "ISO_IR 100",
    "LATIN1": "ISO_IR 100",
}

_DELIMITERS = {"PN": frozenset((0x5C, 0x5E, 0x3D)), "": frozenset((0x5C,))}


class CharacterSet(NamedTuple):
    """The terms of one (0008,0005), put right where they were wrong, and what was wrong."""

    terms: tuple[str, ...]
    remarks: tuple[str, ...]

    @property
    def codec(self) -> str | None:
        """Python's codec when one does for the whole text, or None with code extensions."""
        return _SIMPLE.get(self.terms[0]) if len(self.terms) == 1 else None


_DEFAULT = CharacterSet(("",), ())
_known: dict[bytes | str, CharacterSet] = {b"": _DEFAULT, "": _DEFAULT}
_MOST_KNOWN = 256
_LONGEST_KNOWN = 256


def character_set(specific_character_set: bytes | str | None) -> CharacterSet:
    """The terms of a value of (0008,0005), raw or as text; never fails.

    A misspelt term ("ISO-IR 100") is read as the one that is meant, an unknown one as ASCII, and
    `remarks` says so.
    """
    value = specific_character_set or ""
    found = _known.get(value)
    if found is None:
        found = _parse(value)
        if len(_known) < _MOST_KNOWN and len(value) <= _LONGEST_KNOWN:
            _known[value] = found
    return found


def _parse(value: bytes | str) -> CharacterSet:
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    terms: list[str] = []
    remarks: list[str] = []
    for number, stated in enumerate(text.rstrip("\0").split("\\")[:16]):
        term = stated.strip(" \0")
        if term not in DEFINED_TERMS and term:
            meant = _BY_LETTERS.get("".join(filter(str.isalnum, term)).upper())
            remarks.append(
                f"{term!r} is no defined term, read as {meant or 'the default repertoire'}"
            )
            term = meant or ""
        if not term and number:
            continue
        terms.append(term)
    if len(terms) > 1 and terms[0] in _ALONE:
        remarks.append(f"{terms[0]} cannot have code extensions, the other terms are left out")
        del terms[1:]
    remarks += [
        f"{term} cannot be a code extension, it is left out" for term in terms[1:] if term in _ALONE
    ]
    terms = [terms[0], *(term for term in terms[1:] if term not in _ALONE)]
    if len(terms) > 1 and terms[0] in _WITHOUT_EXTENSIONS:
        remarks.append(f"{terms[0]} is written without code extensions, yet there are some")
        terms[0] = terms[0].replace("ISO_IR", "ISO 2022 IR")
    return CharacterSet(tuple(terms), tuple(remarks))


def decode_text(raw: bytes, vr: str, specific_character_set: bytes | str | None = None) -> str:
    """The text of a value, its trailing padding taken off; a backslash between the values.

    Bytes that are wrong in the character set become U+FFFD. VRs that (0008,0005) does not govern
    are ASCII whatever it says (PS3.5 6.1.2.2). Never raises.
    """
    raw = raw.rstrip(b"\0 ")
    row = VALUE_REPRESENTATIONS.get(vr)
    if row is not None and not row.character_set:
        return raw.decode("ascii", "replace")
    charset = character_set(specific_character_set)
    codec = charset.codec
    if codec is not None and _ESCAPE not in raw:
        # Latin-1 is what careless senders mean by bytes above 7FH without a character set.
        return _lenient(raw, codec)
    if raw.isascii() and _ESCAPE not in raw:
        return raw.decode("ascii")
    return _decode_with_extensions(raw, vr, charset)


def _lenient(raw: bytes, codec: str) -> str:
    try:
        return raw.decode(codec)
    except UnicodeDecodeError:
        return raw.decode("latin-1" if codec == "ascii" else codec, "replace")


def _decode_with_extensions(raw: bytes, vr: str, charset: CharacterSet) -> str:
    from pydicom import charset as pydicom_charset

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            encodings = pydicom_charset.convert_encodings(_for_pydicom(charset))
            delimiters = set(_DELIMITERS.get(vr, _DELIMITERS[""]))
            text = str(pydicom_charset.decode_bytes(raw, encodings, delimiters))
        except (ValueError, LookupError, TypeError):
            return raw.decode("latin-1")
    # The escape sequence that pydicom leaves standing, Python's codec for GB 2312 not taking it.
    return text.replace(_GB_2312.decode(), "")


def _for_pydicom(charset: CharacterSet) -> list[str]:
    return [term for term in charset.terms if not term.endswith("203")] or [""]


def encode_text(text: str, vr: str, specific_character_set: bytes | str | None = None) -> bytes:
    """The bytes of a text (a backslash between values) in a character set, without padding.

    Raises LocalError when the character set, or the VR, has no code for one of the characters.
    """
    row = VALUE_REPRESENTATIONS.get(vr)
    if text.isascii():
        return text.encode("ascii")
    if row is not None and not row.character_set:
        raise LocalError(f"{vr} holds ASCII only.", clause="PS3.5 6.1.2.2", value=text)
    charset = character_set(specific_character_set)
    codec = charset.codec
    try:
        if codec is not None:
            return text.encode(codec)
        return _encode_with_extensions(text, vr, charset)
    except (UnicodeError, LookupError):
        raise LocalError(
            "The text has a character that the Specific Character Set has no code for.",
            clause="PS3.5 6.1",
            value=text,
            limit="\\".join(charset.terms),
            way_out="Use ISO_IR 192 (UTF-8).",
        ) from None


def _encode_with_extensions(text: str, vr: str, charset: CharacterSet) -> bytes:
    from pydicom import charset as pydicom_charset

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        encodings = pydicom_charset.convert_encodings(_for_pydicom(charset))
        # Each part between delimiters starts in the first term again (PS3.5 6.1.2.5.3).
        parts: list[bytes] = []
        start = 0
        delimiters = "\\^=" if vr == "PN" else "\\"
        for end, character in enumerate(text + "\\"):
            if character in delimiters:
                parts.append(_encode_part(text[start:end], encodings))
                if end < len(text):
                    parts.append(character.encode())
                start = end + 1
        return b"".join(parts)


def _encode_part(text: str, encodings: Sequence[str]) -> bytes:
    from pydicom import charset as pydicom_charset

    if text.isascii():
        return text.encode()
    with warnings.catch_warnings():
        # pydicom replaces what it cannot encode and only warns of it.
        warnings.simplefilter("error")
        try:
            encoded = bytes(pydicom_charset.encode_string(text, encodings))
        except UserWarning as warning:
            raise UnicodeError(str(warning)) from None
    # Of GB 2312 pydicom expects that Python's codec writes the escape sequence; it does not.
    chinese = "iso_ir_58" in encodings[1:] and _ESCAPE not in encoded
    if chinese and encoded.decode(encodings[0], "ignore") != text:
        return _GB_2312 + encoded
    return encoded


class PersonName(NamedTuple):
    """The component groups of one person name (PS3.5 6.2.1.2), each of up to five components."""

    alphabetic: str
    ideographic: str = ""
    phonetic: str = ""

    def components(self) -> tuple[str, str, str, str, str]:
        """Family name, given name, middle name, prefix, suffix of the alphabetic group."""
        parts = [part.strip() for part in self.alphabetic.split("^")[:5]]
        parts += [""] * (5 - len(parts))
        return (parts[0], parts[1], parts[2], parts[3], parts[4])

    def __str__(self) -> str:
        return "=".join(self).rstrip("=")


def person_names(text: str) -> tuple[PersonName, ...]:
    """The names in a decoded value of PN; more than three groups are cut. "" gives none."""
    if not text:
        return ()
    names = []
    for name in text.split("\\"):
        groups = [group.rstrip(" ^") for group in name.split("=")[:3]]
        names.append(PersonName(*groups))
    return tuple(names)
