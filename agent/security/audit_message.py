"""Audit messages and their XML (PS3.15 A.5.1 and A.5.2).

The XML is written by hand: the schema is small, its attributes and elements stand in one order, and
what is written can be read here. Text from outside is escaped and cut; what XML 1.0 cannot hold
becomes U+FFFD. A message takes some kilobytes, whatever it is about.
"""

from __future__ import annotations

import ipaddress
import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from agent.security import audit_terms as terms
from agent.security.audit_terms import AuditTerm

SUCCESS, MINOR_FAILURE, SERIOUS_FAILURE, MAJOR_FAILURE = 0, 4, 8, 12
"""Event Outcome Indicator (Table A.5.2-1)."""
_LONGEST_TEXT = 1024
_UNFIT = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": " ", "\n": " ", "\r": " "}
)


class ObjectKind(Enum):
    """What a participant object is: type code, role, and type of its identifier."""

    PATIENT = (1, 1, terms.PATIENT_NUMBER)
    STUDY = (2, 3, terms.STUDY_INSTANCE_UID)
    QUERY = (2, 3, terms.SOP_CLASS_UID)
    AUDIT_LOG = (2, 13, terms.URI)
    NODE = (2, 13, terms.NODE_ID)
    RESOURCE = (2, 5, terms.URI)


@dataclass(frozen=True, slots=True)
class Participant:
    """Who took part in an event: a person, a process, a node, or a medium.

    `titles` are AE titles (A.5.2.2); `address` is a name, an IP address, a mail address or a URI.
    """

    user_id: str
    roles: tuple[AuditTerm, ...] = ()
    requestor: bool = False
    titles: tuple[str, ...] = ()
    alternative: str = ""
    name: str = ""
    address: str = ""
    media: AuditTerm | None = None


@dataclass(frozen=True, slots=True)
class AuditObject:
    """What an event was about.

    `query` is the data set of a query. `details` are pairs of a type and a value; `sop_classes`
    pairs of a UID and the number of instances. `anonymized` is None where nothing is said of it.
    """

    kind: ObjectKind
    identifier: str
    name: str = ""
    query: bytes | None = None
    details: tuple[tuple[str, bytes], ...] = ()
    accession_numbers: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    sop_classes: tuple[tuple[str, int], ...] = ()
    anonymized: bool | None = None


@dataclass(frozen=True, slots=True)
class AuditSource:
    """The system that tells (AuditSourceIdentification); `kind` is a code of A.5.1.2.1."""

    identifier: str
    site: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class AuditMessage:
    """One event. `when` is in seconds since 1970; `action` one of C, R, U, D, E."""

    event: AuditTerm
    action: str
    when: float
    participants: tuple[Participant, ...]
    objects: tuple[AuditObject, ...] = ()
    types: tuple[AuditTerm, ...] = ()
    outcome: int = SUCCESS
    description: str = ""

    def xml(self, source: AuditSource) -> str:
        """The message as the schema of A.5.1 wants it, on one line."""
        return "".join(self._pieces(source))

    def _pieces(self, source: AuditSource) -> Iterator[str]:
        yield '<?xml version="1.0" encoding="UTF-8"?><AuditMessage>'
        yield (
            f'<EventIdentification EventActionCode="{self.action}"'
            f' EventDateTime="{_moment(self.when)}" EventOutcomeIndicator="{self.outcome}">'
        )
        yield _coded("EventID", self.event)
        for each in self.types:
            yield _coded("EventTypeCode", each)
        if self.description:
            told = _text(self.description)
            yield f"<EventOutcomeDescription>{told}</EventOutcomeDescription>"
        yield "</EventIdentification>"
        for participant in self.participants:
            yield from _participant(participant)
        yield "<AuditSourceIdentification"
        yield _attribute("AuditEnterpriseSiteID", source.site)
        yield f' AuditSourceID="{_text(source.identifier)}">'
        if source.kind:
            yield f'<AuditSourceTypeCode csd-code="{source.kind}"/>'
        yield "</AuditSourceIdentification>"
        for thing in self.objects:
            yield from _object(thing)
        yield "</AuditMessage>"


def _participant(each: Participant) -> Iterator[str]:
    alternative = each.alternative
    if each.titles:
        alternative = f"AETITLES={';'.join(each.titles)}"
    yield f'<ActiveParticipant UserID="{_text(each.user_id)}"'
    yield _attribute("AlternativeUserID", alternative)
    yield _attribute("UserName", each.name)
    yield f' UserIsRequestor="{"true" if each.requestor else "false"}"'
    if each.address:
        yield _attribute("NetworkAccessPointID", each.address)
        yield _attribute("NetworkAccessPointTypeCode", _access_point_type(each.address))
    yield ">"
    for role in each.roles:
        yield _coded("RoleIDCode", role)
    if each.media is not None:
        yield f"<MediaIdentifier>{_coded('MediaType', each.media)}</MediaIdentifier>"
    yield "</ActiveParticipant>"


def _object(each: AuditObject) -> Iterator[str]:
    type_code, role, id_type = each.kind.value
    yield f'<ParticipantObjectIdentification ParticipantObjectID="{_text(each.identifier)}"'
    yield f' ParticipantObjectTypeCode="{type_code}" ParticipantObjectTypeCodeRole="{role}">'
    yield _coded("ParticipantObjectIDTypeCode", id_type)
    if each.query is not None:
        query = b64encode(each.query).decode()
        yield f"<ParticipantObjectQuery>{query}</ParticipantObjectQuery>"
    else:
        # A.5.3 leaves the name open, the schema wants it or a query.
        yield f"<ParticipantObjectName>{_text(each.name)}</ParticipantObjectName>"
    for name, value in each.details:
        coded = b64encode(value[:_LONGEST_TEXT]).decode()
        yield f'<ParticipantObjectDetail type="{_text(name)}" value="{coded}"/>'
    if each.sop_classes or each.steps or each.accession_numbers or each.anonymized is not None:
        yield "<ParticipantObjectDescription>"
        for uid in each.steps:
            yield f'<MPPS UID="{_text(uid)}"/>'
        for number in each.accession_numbers:
            yield f'<Accession Number="{_text(number)}"/>'
        for uid, count in each.sop_classes:
            yield f'<SOPClass UID="{_text(uid)}" NumberOfInstances="{count}"/>'
        if each.anonymized is not None:
            yield f"<Anonymized>{'true' if each.anonymized else 'false'}</Anonymized>"
        yield "</ParticipantObjectDescription>"
    yield "</ParticipantObjectIdentification>"


def _coded(element: str, term: AuditTerm) -> str:
    return (
        f'<{element} csd-code="{term.code}" codeSystemName="{term.scheme}"'
        f' originalText="{_text(term.meaning)}"/>'
    )


def _attribute(name: str, value: str) -> str:
    return f' {name}="{_text(value)}"' if value else ""


def _text(value: str) -> str:
    return _UNFIT.sub("�", value[:_LONGEST_TEXT]).translate(_ESCAPES)


def _moment(seconds: float) -> str:
    # With its time zone (A.5.2.5).
    told = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return told.replace("+00:00", "Z")


def _access_point_type(address: str) -> str:
    """Network Access Point Type Code (A.5.1): 1 name, 2 IP address, 4 mail address, 5 URI."""
    try:
        ipaddress.ip_address(address)
        return "2"
    except ValueError:
        pass
    if "@" in address:
        return "4"
    return "5" if ":" in address else "1"
