"""What the storage worker answers, in classes that the node can read without importing SQLite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from agent.archive.decision import Verdict


@dataclass(slots=True)
class Recovery:
    """What was put right: objects indexed, files set aside, jobs that were being tried; and objects
    taken back that are not whole, of which nobody was told."""

    indexed: int = 0
    set_aside: int = 0
    released_jobs: int = 0
    taken_back: int = 0


@dataclass(frozen=True, slots=True)
class Opened:
    """What "open" answers. `unfinished`: imports, exports, retrievals in progress, by kind."""

    identity: str
    bytes: int
    recovery: Recovery
    unfinished: frozenset[str]


class Comparison(NamedTuple):
    """What "commit" answers where a large object is to be compared first: with which stored one,
    and where the data sets begin in that file and in the one that came."""

    number: int
    stored_offset: int
    offset: int


class Stored(NamedTuple):
    """What "commit" answers: the verdict, and the bytes that the archive holds now."""

    verdict: Verdict
    bytes: int
