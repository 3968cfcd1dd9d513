"""Unique identifiers (PS3.5 section 9 and annex B)."""

from __future__ import annotations

import os
import re

from agent.errors import ConfigurationError
from agent.quoting import quoted

MAXIMUM_LENGTH = 64

_GRAMMAR = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))+", re.ASCII)


def is_valid_uid(text: str) -> bool:
    """Whether the text is a UID by PS3.5 9.1: digits and points, no leading zeros, at most 64."""
    return len(text) <= MAXIMUM_LENGTH and _GRAMMAR.fullmatch(text) is not None


def new_uid(root: str | None = None) -> str:
    """A UID that nobody else has made.

    Without a root it is 2.25 and a random (version 4) UUID as one number (PS3.5 B.2). With the
    root of an organisation it is that root and a random number that fills the 64 characters up
    to at most 38 digits. Raises ConfigurationError for a root that is no UID, or that leaves
    fewer than 20 digits to chance.
    """
    if root is None:
        return _from_uuid(os.urandom(16), version=4)
    room = min(38, MAXIMUM_LENGTH - len(root) - 1)
    if room < 20 or not is_valid_uid(root):
        raise ConfigurationError(
            f"The UID root {quoted(repr(root))} is not a UID of at most 43 characters.",
            clause="PS3.5 9.1",
            value=root,
            limit=43,
            way_out="Set the root that your organisation owns, or leave it out to use 2.25.",
        )
    # The first digit is not zero: a component has no leading zeros (PS3.5 9.1).
    lowest = 10 ** (room - 1)
    return f"{root}.{lowest + int.from_bytes(os.urandom(24), 'big') % (9 * lowest)}"


def derived_uid(seed: bytes) -> str:
    """The UID under 2.25 that always belongs to this seed: its SHA-256 as a version 8 UUID."""
    import hashlib  # loads OpenSSL, which the node's resident process does not need at start

    return _from_uuid(hashlib.sha256(seed).digest()[:16], version=8)


def derived_root(seed: bytes) -> str:
    """A root under 2.25 that always belongs to this seed, of at most 43 characters for `new_uid`.

    A version 8 UUID (RFC 9562 5.8) whose first four bits are zero, so that its number has at most
    38 digits. Who has a UUID may make UIDs beneath it (ITU-T X.667 clause 7).
    """
    import hashlib

    octets = bytearray(hashlib.sha256(seed).digest()[:16])
    octets[0] &= 0x0F
    return _from_uuid(bytes(octets), version=8)


def _from_uuid(octets: bytes, version: int) -> str:
    number = int.from_bytes(octets, "big")
    number = number & ~(0xF << 76) | version << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    return f"2.25.{number}"
