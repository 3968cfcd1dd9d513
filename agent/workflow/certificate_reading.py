"""What a worker reads of certificates: whose they are, and until when."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from agent.network.tls import files_at
from hal.keys.base import KeyStoreError
from hal.keys.named_key import certificates_in, facts_of


class Expiry(NamedTuple):
    """The certificate of a file that expires first; `problem` where none can be read."""

    path: str
    subject: str = ""
    not_before: float = 0.0
    not_after: float = 0.0
    problem: str = ""


def expiries(places: Sequence[str]) -> list[Expiry]:
    """For each file, and each file in a folder, the one that expires first."""
    found: list[Expiry] = []
    for place in places:
        try:
            found += map(_expiry, files_at(place))
        except OSError as error:
            found.append(Expiry(place, problem=error.strerror or str(error)))
    return found


def _expiry(path: str) -> Expiry:
    try:
        facts = map(facts_of, certificates_in(Path(path).read_bytes()))
        first = min(facts, key=lambda each: each.not_after)
    except OSError as error:
        return Expiry(path, problem=error.strerror or str(error))
    except (KeyStoreError, ValueError) as error:
        return Expiry(path, problem=str(error))
    return Expiry(path, first.subject, first.not_before, first.not_after)
