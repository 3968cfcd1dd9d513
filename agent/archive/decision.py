"""The words between the archive and those who decide about objects: rules hand in a `Receiver`.

The receiver is made in the node, pickled, and asked in the storage worker, before anything is
named or promised; it must be quick and must not keep state.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from agent.dataset.head import Head
from agent.errors import StatusReaction
from agent.quoting import Sentence

DELIVER = "deliver"
COMMIT = "commit"
REPORT = "report"
RESULT = "result"
NOTIFY = "notify"
EXPORT = "export"
PRINT = "print"
INVENTORY = "inventory"


class Origin(NamedTuple):
    """Where an object came from, and what the command said of it.

    `source` is the way: "network", "folder", "capture", "import", "local" or "fetch" (we asked a
    peer for it). `sop_class_uid` and
    `sop_instance_uid` are those of the C-STORE request ("" where there was none: not compared).
    `received` is the time of the clock in seconds; 0: now. Without `check` the data set may be of
    another class or instance than the request said.
    """

    source: str = "network"
    calling: str = ""
    called: str = ""
    peer: str = ""
    entity: str = ""
    address: str = ""
    association: str = ""
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    move_originator: str = ""
    received: float = 0.0
    check: bool = True


@dataclass(frozen=True, slots=True)
class JobPlan:
    """A job that an object shall have.

    Higher `priority` goes first; `delay` is seconds before the first try; `hold` a reason to hold
    it for a person from the start ("": none); `payload` what the one who does the job must know.
    """

    kind: str
    destination: str
    priority: int = 0
    delay: float = 0.0
    hold: str = ""
    payload: bytes = b""


def order_of(uid: str) -> int:
    """The number that keeps the jobs about one step in their order: two steps of one number would
    only wait for each other."""
    data = uid.encode()
    return (zlib.crc32(data) << 24 | zlib.crc32(data[::-1]) >> 8) or 1


@dataclass(frozen=True, slots=True)
class Decision:
    """What shall become of an object.

    `refusal` refuses it with that status. `discard` answers success and keeps nothing. `coercions`
    are raw values for top-level elements (None deletes one), answered B000 (PS3.4 B.4.1.3).
    `warning` is a status to answer though all went well (B006, B007). `flags` are bits of
    `agent.archive.records.Flag` for the row.
    """

    jobs: tuple[JobPlan, ...] = ()
    refusal: StatusReaction | None = None
    discard: bool = False
    coercions: Mapping[int, bytes | None] = field(default_factory=dict)
    warning: StatusReaction | None = None
    flags: int = 0


class Receiver(Protocol):
    """The rules, as the archive sees them."""

    @property
    def wanted(self) -> frozenset[int]:
        """Tags that the rules look at, besides those of the index."""
        ...

    def receive(self, head: Head, origin: Origin) -> Decision:
        """What shall become of this object; raises nothing."""
        ...


@dataclass(frozen=True, slots=True)
class KeepAll:
    """The receiver of an archive without rules: everything is kept, nothing follows."""

    wanted: frozenset[int] = frozenset()

    def receive(self, head: Head, origin: Origin) -> Decision:
        return Decision()


class Verdict(NamedTuple):
    """What became of a reception: the DIMSE status and what explains it.

    `instance_id` is the object's number, also for a duplicate (that of the copy that was there);
    0 when nothing was kept. `variant` says that other bytes were there already under this UID, and
    both are kept.
    """

    status: int
    comment: Sentence | Literal[""] = ""
    offending_elements: tuple[int, ...] = ()
    instance_id: int = 0
    duplicate: bool = False
    variant: bool = False
    jobs: int = 0

    @property
    def is_stored(self) -> bool:
        """Whether the sender may forget the object: success and warnings are promises."""
        return self.status == 0 or self.status & 0xF000 == 0xB000
