"""What the configuration decides about one archive, as the archive wants to know it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StorageStatuses:
    """The C-STORE statuses (PS3.4 Table B.2-1) for what can go wrong; a profile may set each."""

    disk_full: int = 0xA700
    volume_away: int = 0xA700
    storage_failure: int = 0xA700
    """The disk or the index fails: out of resources is what makes senders try again."""
    does_not_match: int = 0xA900
    cannot_understand: int = 0xC000


class SignAnew(Protocol):
    """Puts a signature of ours in the place of those that a change broke (PS3.15 A.2)."""

    def __call__(self, before: int, after: int, changed: Collection[int], at: str = "") -> None:
        """`before` and `after` are open DICOM files, `changed` the attributes with other values,
        `at` is the time (DT). Raises a GantryError where it cannot be done."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a job that failed is tried again; `agent.archive.retry` computes with it.

    Waits are in seconds: `first`, longer by `factor` each time, at most `longest`, each longer or
    shorter by chance by the part `jitter`. After `attempts` tries, or when the job is older than
    `age` seconds, it is held for a person; 0 is never.
    """

    first: float = 5.0
    factor: float = 2.0
    longest: float = 900.0
    jitter: float = 0.2
    attempts: int = 0
    age: float = 0.0


@dataclass(frozen=True, slots=True)
class ArchiveSettings:
    """Limits and answers of one archive."""

    quota: int = 0
    """Bytes of objects that the archive may hold; 0: the file system is the limit."""
    high_watermark: float = 0.95
    """Storage is refused when this part of the quota, or of the file system, is in use."""
    low_watermark: float = 0.85
    """Where retention stops when it deletes for space."""
    reserve: int = 64 << 20
    """Free bytes of the file system that are never used for objects."""
    volume: str = ""
    """A mount point that must be mounted; "" is not checked."""
    identity_record: str = ""
    """A file outside the archive's volume that remembers which archive belongs there; "": none."""
    statuses: StorageStatuses = field(default_factory=StorageStatuses)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    history: int = 10_000
    """Finished jobs that are remembered."""
    repeat_for_duplicates: bool = False
    """Whether an object that is sent again is delivered again where it was delivered already.

    Off, a peer that sends back what we sent to it cannot make a loop.
    """
    modifying_system: str = "GANTRY"
    """Modifying System (0400,0563) of objects whose values this archive changes."""
    sign_anew: SignAnew | None = None
    """What is done where values that were signed are changed; None: their signatures go."""
    lock_patience: float = 5.0
    """Seconds to wait for the lock of a predecessor that is ending."""
