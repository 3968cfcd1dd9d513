"""Replacements that are always the same for the same original: UIDs, patients, shifts of dates.

They follow from a secret key by HMAC-SHA-256 (RFC 2104), so nothing has to be kept: objects that
were de-identified on different days, by different devices with the same key, still belong
together, and without the key nobody can try out names. A table of a person's choice goes first.
"""

from __future__ import annotations

import base64
import csv
import hmac
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from agent.dataset.uid import derived_uid
from agent.errors import ConfigurationError
from agent.quoting import quoted

SHORTEST_KEY = 16
"""Bytes of a key; a shorter one could be guessed."""
LONGEST_SHIFT = 3652
"""Days; dates are moved back, never into the future."""
_STANDARD_ROOT = "1.2.840.10008."
_LONGEST_TABLE = 16 << 20


class Patient(NamedTuple):
    """Whose object it is, as it says itself."""

    identifier: str = ""
    issuer: str = ""
    name: str = ""
    birth_date: str = ""
    study: str = ""


@dataclass(frozen=True, slots=True)
class Pseudonym:
    """What stands for a patient. `days` are added to dates."""

    identifier: str
    name: str
    days: int


class Pseudonyms:
    """Replacements under one key.

    `table` has new Patient ID and Patient's Name by Patient ID; patients that it does not name are
    given what follows from the key.
    """

    def __init__(self, key: bytes, table: Mapping[str, tuple[str, str]] | None = None) -> None:
        """Raises ConfigurationError for a key that is too short."""
        if len(key) < SHORTEST_KEY:
            raise ConfigurationError(
                "the key of the pseudonyms is too short",
                value=len(key),
                limit=SHORTEST_KEY,
                way_out="Make one with: openssl rand -hex 32",
            )
        self._key = key
        self._table = dict(table or {})

    @classmethod
    def passing(cls) -> Pseudonyms:
        """Under a key that nobody will have again: consistent as long as this lives."""
        return cls(os.urandom(32))

    def uid(self, uid: str) -> str:
        """The UID that stands for one of an instance; those of the standard stay."""
        if not uid or uid.startswith(_STANDARD_ROOT):
            return uid
        return derived_uid(self._digest("uid", uid))

    def patient(self, patient: Patient) -> Pseudonym:
        """What stands for a patient; without an ID it is told by name and birth date, without
        those by the study."""
        whose = f"{patient.issuer}\\{patient.identifier}"
        if not patient.identifier:
            whose = f"{patient.name}\\{patient.birth_date}"
            if not patient.name:
                whose = f"study\\{patient.study}"
        text = base64.b32encode(self._digest("patient", whose))[:12].decode("ascii")
        number = int.from_bytes(self._digest("dates", whose)[:8], "big")
        identifier, name = self._table.get(patient.identifier, (text, text))
        return Pseudonym(identifier, name, -1 - number % LONGEST_SHIFT)

    def _digest(self, what: str, text: str) -> bytes:
        message = f"{what}\0{text}".encode("utf-8", "replace")
        return hmac.new(self._key, message, "sha256").digest()


def read_table(path: str) -> Mapping[str, tuple[str, str]]:
    """A table of pseudonyms: lines of UTF-8 with Patient ID, new Patient ID, new Patient's Name,
    parted by commas (RFC 4180). Raises ConfigurationError."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib is not needed otherwise
            data = file.read(_LONGEST_TABLE + 1)
        text = data.decode("utf-8-sig")
        rows = [row for row in csv.reader(io.StringIO(text), strict=True) if row]
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise _unusable(path, f"is no table: {quoted(error)}") from None
    if len(data) > _LONGEST_TABLE:
        raise _unusable(path, f"is longer than {_LONGEST_TABLE} bytes")
    found = {}
    for number, row in enumerate(rows, 1):
        original, *new = (each.strip() for each in row)
        if len(new) != 2 or not all((original, *new)):
            raise _unusable(path, f"has no three values in its row {number}")
        if any(len(each) > 64 or "\\" in each or not each.isprintable() for each in new):
            raise _unusable(path, f"has a value in its row {number} that no attribute can hold")
        if not all(each.isascii() for each in new):
            raise _unusable(path, f"has a pseudonym in its row {number} that is not ASCII")
        if original in found:
            raise _unusable(path, f"has the same patient again in its row {number}")
        found[original] = (new[0], new[1])
    return found


def _unusable(path: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"the table of pseudonyms {quoted(path)} {why}",
        value=path,
        way_out="Write a line 'Patient ID,new Patient ID,new Patient's Name' for each patient.",
    )
