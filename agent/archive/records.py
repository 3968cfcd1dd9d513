"""Rows of the index and the queue as others see them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Generic, NamedTuple, TypeVar

Item = TypeVar("Item")

RECEIVED, DELIVERED, COMMITTED = "received", "delivered", "committed"
OLDEST, LEAST_RECENTLY_USED = "oldest", "least-recently-used"


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Some items, and what to ask for to get those behind them; None at the end."""

    items: tuple[Item, ...]
    next: int | None


class JobState(IntEnum):
    """Where a job is; finished ones are in the history."""

    WAITING = 0
    CLAIMED = 1
    HELD = 2


class Flag(IntFlag):
    """What is remarkable about an instance."""

    VARIANT = 1
    """Another object with other bytes was there under the same SOP Instance UID."""
    COERCED = 2
    """Values were changed on receipt; the object says which (Original Attributes Sequence)."""
    REIDENTIFIED = 4
    """Values were changed by a person; the object says which."""
    OTHER_PATIENT = 8
    """Its patient is not that of its study."""
    RECOVERED = 16
    """Found in the spool without a row."""
    ORIGINAL = 32
    """Its SOP Instance Status is OR or AO: it is not deleted here (PS3.15 A.1.1 c)."""
    AUTHORIZED = 64
    """Its SOP Instance Status is AO."""
    UNCONFIRMED = 128
    """An original that was handed to us, and whose sender does not know yet that we keep it: it
    goes to nobody (PS3.15 A.1.1 d 4)."""
    HANDED_OVER = 256
    """An original that another node has committed to keep: it is one here no longer."""


WAITS_FOR_COMMITMENT = "waits until its sender knows that the original is kept here"
"""Why the jobs of an original that was handed to us are held."""


@dataclass(frozen=True, slots=True)
class Job:
    """One job, with what is needed to carry it out.

    `path` is the file of its object, from which the data set starts at `data_set_offset`; "" for
    jobs that are not about one object.
    """

    id: int
    kind: str
    destination: str
    state: JobState
    priority: int
    attempts: int
    created: float
    next_attempt: float
    status: int
    reason: str
    payload: bytes
    instance_id: int
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    study_instance_uid: str
    data_set_offset: int
    size: int
    path: str = ""


class StoredObject(NamedTuple):
    """An object as it lies in its file; `payload` says what is changed of it when it goes out, and
    `form` which part of it goes (`agent.workflow.partial_copy`); empty: all of it."""

    path: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    data_set_offset: int
    payload: bytes = b""
    form: bytes = b""


@dataclass(frozen=True, slots=True)
class FinishedJob:
    """A job of the history; `outcome` is "done" or "dropped"."""

    id: int
    kind: str
    destination: str
    sop_instance_uid: str
    outcome: str
    attempts: int
    created: float
    finished: float
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class DestinationSummary:
    """The queue of one destination. Times are those of the clock; 0: never or none."""

    name: str
    paused: bool
    waiting: int
    claimed: int
    held: int
    oldest: float
    last_success: float
    last_failure: float
    last_status: int
    last_reason: str


@dataclass(frozen=True, slots=True)
class Study:
    """A study with its patient, as text."""

    id: int
    study_instance_uid: str
    study_date: str
    study_time: str
    accession_number: str
    study_id: str
    study_description: str
    referring_physician_name: str
    patient_id: str
    issuer_of_patient_id: str
    patient_name: str
    birth_date: str
    sex: str
    received: float
    changed: float
    accessed: float
    series: int
    instances: int
    size: int


@dataclass(frozen=True, slots=True)
class Series:
    """A series of a study, as text."""

    id: int
    series_instance_uid: str
    modality: str
    series_number: str
    series_date: str
    series_time: str
    series_description: str
    body_part_examined: str
    instances: int


class Instance(NamedTuple):
    """An object. UIDs of study and series are "" for objects without (PS3.4 annex GG).

    A tuple, for a worker gives one for each object that is retrieved: frozen dataclasses take
    20 us to pickle and unpickle, tuples 2.
    """

    id: int
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    instance_number: str
    number_of_frames: str
    study_instance_uid: str
    series_instance_uid: str
    data_set_offset: int
    size: int
    received: float
    source: str
    flags: Flag
    path: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An object that may be deleted, by the conditions that were asked for."""

    id: int
    sop_instance_uid: str
    size: int
    received: float
    accessed: float


@dataclass(frozen=True, slots=True)
class Conditions:
    """Which objects: what must have happened `after`, and received or used within these times."""

    after: str = DELIVERED
    order: str = OLDEST
    received_after: float = 0.0
    received_before: float = float("inf")
    unused_since: float = float("inf")


@dataclass(frozen=True, slots=True)
class Correction:
    """One line of the log of corrections; `detail` is JSON."""

    id: int
    time: float
    action: str
    level: str
    uid: str
    who: str
    instances: int
    detail: str


@dataclass(frozen=True, slots=True)
class Counts:
    """How much there is."""

    patients: int
    studies: int
    series: int
    instances: int
    size: int
