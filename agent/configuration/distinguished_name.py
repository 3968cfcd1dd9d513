"""Distinguished names of certificates as a person writes them: `CN=ct1, O=Hospital` (RFC 4514)."""

from __future__ import annotations

from collections.abc import Sequence

# RFC 4514 3 and 3.1, with what hospitals use besides; the long names are those of OpenSSL.
SHORT_NAMES = {
    "commonName": "CN",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "streetAddress": "STREET",
    "domainComponent": "DC",
    "userId": "UID",
    "emailAddress": "E",
}

_SPECIAL = frozenset(',+"\\<>;=')

Attributes = tuple[tuple[str, str], ...]


def parse(text: str) -> Attributes:
    """The attributes, names in their short form; a backslash makes the next character plain.

    Raises ValueError with what is wrong.
    """
    parts: list[list[str]] = [[]]
    escaped = False
    for character in text:
        if escaped:
            parts[-1].append(character)
        elif character in ",+":
            parts.append([])
        elif character != "\\":
            parts[-1].append(character)
        escaped = character == "\\" and not escaped
    found = []
    for part in parts:
        name, equals, value = "".join(part).partition("=")
        name, value = name.strip(), value.strip()
        if not (equals and name and value):
            raise ValueError(f"{''.join(part).strip()!r} is not of the form NAME=VALUE")
        found.append((short_name(name), value))
    return tuple(found)


def short_name(name: str) -> str:
    """An attribute type in its short form, in capitals; what has none stays as it is."""
    by_lower = {long.lower(): short for long, short in SHORT_NAMES.items()}
    return by_lower.get(name.lower(), name.upper())


def written(attributes: Sequence[tuple[str, str]]) -> str:
    """As RFC 4514 writes them: the last of the certificate comes first."""
    return ",".join(
        f"{name}={''.join(f'{chr(92)}{c}' if c in _SPECIAL else c for c in value)}"
        for name, value in reversed(attributes)
    )
