"""What each audit message must say: the tables of PS3.15 A.5.3, one row for each table.

`faults` holds a message against its row. What a row leaves open ("not specialized") is not in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from agent.security import audit_terms as terms
from agent.security.audit_message import AuditMessage, ObjectKind, Participant
from agent.security.audit_terms import AuditTerm

MANY = 1 << 30
_EXECUTE, _CREATE, _READ, _DELETE = ("E",), ("C",), ("R",), ("D",)
_RECORD = ("C", "R", "U", "D")


@dataclass(frozen=True, slots=True)
class Part:
    """Active participants of one role: how many there are, and whether they may have asked.

    `role` is None where the table leaves it open.
    """

    role: AuditTerm | None
    least: int = 1
    most: int = 1
    may_request: bool = True
    media: bool = False


@dataclass(frozen=True, slots=True)
class Things:
    """Participant objects of one kind: how many there are."""

    kind: ObjectKind
    least: int = 1
    most: int = 1


@dataclass(frozen=True, slots=True)
class EventRow:
    """One table of A.5.3. `types`: the Event Type Code must be one of them; empty: left open."""

    clause: str
    event: AuditTerm
    actions: tuple[str, ...]
    parts: tuple[Part, ...]
    things: tuple[Things, ...] = ()
    types: frozenset[AuditTerm] = field(default_factory=frozenset)
    one_requestor: bool = False
    """Whether exactly one participant asked for it (A.5.3.4.1, A.5.3.5)."""


_TRANSFER = (Part(terms.SOURCE), Part(terms.DESTINATION), Part(None, 0, MANY))
_WHO = (Part(None, 1, 2),)
_STUDIES, _SOME_STUDIES = Things(ObjectKind.STUDY, 1, MANY), Things(ObjectKind.STUDY, 0, MANY)
_PATIENT, _PATIENTS = Things(ObjectKind.PATIENT), Things(ObjectKind.PATIENT, 1, MANY)

_ROWS = (
    EventRow(
        "A.5.3.1",
        terms.APPLICATION_ACTIVITY,
        _EXECUTE,
        (Part(terms.APPLICATION), Part(terms.APPLICATION_LAUNCHER, 0, MANY)),
        types=frozenset((terms.APPLICATION_START, terms.APPLICATION_STOP)),
    ),
    EventRow("A.5.3.2", terms.AUDIT_LOG_USED, _READ, _WHO, (Things(ObjectKind.AUDIT_LOG),)),
    EventRow("A.5.3.3", terms.BEGIN_TRANSFERRING, _EXECUTE, _TRANSFER, (_STUDIES, _PATIENT)),
    EventRow(
        "A.5.3.4",
        terms.EXPORT,
        _READ,
        (
            Part(terms.DESTINATION, 0, MANY),
            Part(terms.SOURCE, 1, 2),
            Part(terms.DESTINATION_MEDIA, may_request=False, media=True),
        ),
        (_SOME_STUDIES, _PATIENTS),
        one_requestor=True,
    ),
    EventRow(
        "A.5.3.5",
        terms.IMPORT,
        _CREATE,
        (
            Part(terms.DESTINATION, 1, MANY),
            Part(terms.SOURCE_MEDIA, may_request=False, media=True),
            Part(terms.SOURCE, 0, MANY),
        ),
        (_SOME_STUDIES, _PATIENTS),
        one_requestor=True,
    ),
    EventRow("A.5.3.6", terms.INSTANCES_ACCESSED, _RECORD, _WHO, (_STUDIES, _PATIENT)),
    EventRow(
        "A.5.3.7",
        terms.INSTANCES_TRANSFERRED,
        ("C", "R", "U"),
        _TRANSFER,
        (_STUDIES, _PATIENT),
    ),
    EventRow("A.5.3.8", terms.STUDY_DELETED, _DELETE, _WHO, (_STUDIES, _PATIENT)),
    EventRow(
        "A.5.3.9",
        terms.NETWORK_ENTRY,
        _EXECUTE,
        (Part(terms.APPLICATION, may_request=False),),
        types=frozenset((terms.ATTACH, terms.DETACH)),
    ),
    EventRow("A.5.3.10", terms.QUERY, _EXECUTE, _TRANSFER, (Things(ObjectKind.QUERY),)),
    EventRow(
        "A.5.3.11",
        terms.SECURITY_ALERT,
        _EXECUTE,
        (Part(None, 1, MANY),),
        (Things(ObjectKind.NODE, 0, MANY), Things(ObjectKind.RESOURCE, 0, MANY)),
        types=terms.SECURITY_ALERT_TYPES,
    ),
    EventRow(
        "A.5.3.12",
        terms.USER_AUTHENTICATION,
        _EXECUTE,
        (Part(None, 1, 2),),
        types=frozenset((terms.LOGIN, terms.LOGOUT)),
    ),
    EventRow("A.5.3.13", terms.ORDER_RECORD, _RECORD, _WHO, (_PATIENT,)),
    EventRow("A.5.3.14", terms.PATIENT_RECORD, _RECORD, _WHO, (_PATIENT,)),
    EventRow("A.5.3.15", terms.PROCEDURE_RECORD, _RECORD, _WHO, (_SOME_STUDIES, _PATIENT)),
)

EVENT_ROWS = {row.event: row for row in _ROWS}


def faults(message: AuditMessage) -> Iterator[str]:
    """What the message says against its table, one sentence each; nothing when it is right."""
    row = EVENT_ROWS.get(message.event)
    if row is None:
        yield f"{message.event.code} is no event of PS3.15 A.5.3"
        return
    where = f"{row.event.meaning} (PS3.15 {row.clause})"
    if message.action not in row.actions:
        yield f"{where}: EventActionCode is {message.action!r}, not {' or '.join(row.actions)}"
    if row.types and not row.types.intersection(message.types):
        yield f"{where}: no EventTypeCode that the table has"
    yield from _participants(message, row, where)
    yield from _objects(message, row, where)


def _participants(message: AuditMessage, row: EventRow, where: str) -> Iterator[str]:
    left = list(message.participants)
    for part in row.parts:
        mine = [each for each in left if part.role is None or part.role in each.roles]
        left = [each for each in left if each not in mine]
        if not part.least <= len(mine) <= part.most:
            name = part.role.meaning if part.role else "ActiveParticipant"
            yield f"{where}: {len(mine)} of {name}, and {_bounds(part.least, part.most)}"
        yield from _about(mine, part, where)
    for each in left:
        yield f"{where}: {each.user_id} has no role of the table"
    asking = sum(each.requestor for each in message.participants)
    if asking > 1 or (row.one_requestor and asking != 1):
        yield f"{where}: {asking} participants are the requestor"


def _about(mine: list[Participant], part: Part, where: str) -> Iterator[str]:
    for each in mine:
        if each.requestor and not part.may_request:
            yield f"{where}: {each.user_id} must not be the requestor"
        if part.media and each.media is None:
            yield f"{where}: {each.user_id} has no MediaType"


def _objects(message: AuditMessage, row: EventRow, where: str) -> Iterator[str]:
    allowed = {things.kind: things for things in row.things}
    for kind in ObjectKind:
        number = sum(each.kind is kind for each in message.objects)
        things = allowed.get(kind, Things(kind, 0, 0))
        if not things.least <= number <= things.most:
            yield f"{where}: {number} of {kind.name}, and {_bounds(things.least, things.most)}"
    for thing in message.objects:
        names = {name for name, _ in thing.details}
        if thing.kind is ObjectKind.QUERY and "TransferSyntax" not in names:
            yield f"{where}: the query has no TransferSyntax"
        if thing.kind in (ObjectKind.NODE, ObjectKind.RESOURCE) and (
            "Alert Description" not in names
        ):
            yield f"{where}: {thing.identifier} has no Alert Description"
        described = thing.accession_numbers or thing.steps or thing.anonymized is not None
        if thing.kind is ObjectKind.STUDY and described and not thing.sop_classes:
            yield f"{where}: study {thing.identifier} is described without a SOP class"


def _bounds(least: int, most: int) -> str:
    if most == MANY:
        return f"there must be {least} or more"
    return f"there must be {least}" if least == most else f"there must be {least} to {most}"
