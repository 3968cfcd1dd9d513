"""Audit messages read back from their XML, to be held against PS3.15 A.5.

For the queue of a node and for files of others. Raises LocalError for what is no audit message;
document types are refused, so that nothing in a message can expand. Memory: one message.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from datetime import datetime
from xml.etree import ElementTree

from agent.errors import LocalError
from agent.quoting import quoted
from agent.security.audit_events import faults
from agent.security.audit_message import AuditMessage, AuditObject, ObjectKind, Participant
from agent.security.audit_terms import KNOWN_TERMS, AuditTerm

LARGEST = 1 << 22
_KINDS = {
    (str(kind), str(role), term.code): each
    for each in ObjectKind
    for kind, role, term in (each.value,)
}


def faults_of(xml: bytes) -> Iterator[str]:
    """What an XML document says against A.5.3, one sentence each. Raises LocalError."""
    yield from faults(read_message(xml))


def read_message(xml: bytes) -> AuditMessage:
    """The message of an XML document. Raises LocalError."""
    if len(xml) > LARGEST:
        raise LocalError("an audit message is longer than 4 MiB", value=len(xml), limit=LARGEST)
    if b"<!" in xml:
        raise LocalError("an audit message has a document type or a comment", clause="PS3.15 A.5.1")
    try:
        root = ElementTree.fromstring(xml.removeprefix(b"\xef\xbb\xbf").strip())
        if root.tag != "AuditMessage":
            raise LocalError(f"this is no AuditMessage: {quoted(root.tag)}", clause="PS3.15 A.5.1")
        return _message(root)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise LocalError(
            f"this is no audit message that can be read: {quoted(error)}", clause="PS3.15 A.5.1"
        ) from error


def _message(root: ElementTree.Element) -> AuditMessage:
    event = _child(root, "EventIdentification")
    return AuditMessage(
        _term(_child(event, "EventID")),
        event.get("EventActionCode", ""),
        datetime.fromisoformat(event.attrib["EventDateTime"]).timestamp(),
        tuple(_participant(each) for each in root.iterfind("ActiveParticipant")),
        tuple(_object(each) for each in root.iterfind("ParticipantObjectIdentification")),
        tuple(_term(each) for each in event.iterfind("EventTypeCode")),
        int(event.attrib["EventOutcomeIndicator"]),
        event.findtext("EventOutcomeDescription", ""),
    )


def _participant(each: ElementTree.Element) -> Participant:
    media = each.find("MediaIdentifier/MediaType")
    return Participant(
        each.attrib["UserID"],
        tuple(_term(role) for role in each.iterfind("RoleIDCode")),
        each.attrib["UserIsRequestor"] in ("true", "1"),
        (),
        each.get("AlternativeUserID", ""),
        each.get("UserName", ""),
        each.get("NetworkAccessPointID", ""),
        _term(media) if media is not None else None,
    )


def _object(each: ElementTree.Element) -> AuditObject:
    place = (
        each.get("ParticipantObjectTypeCode", ""),
        each.get("ParticipantObjectTypeCodeRole", ""),
        _term(_child(each, "ParticipantObjectIDTypeCode")).code,
    )
    kind = _KINDS.get(place)
    if kind is None:
        raise LocalError(
            "PS3.15 A.5.3 has no participant object of type {}, role {}, ID type {}".format(*place)
        )
    query = each.findtext("ParticipantObjectQuery")
    described = each.find("ParticipantObjectDescription")
    anonymized = described.findtext("Anonymized") if described is not None else None
    return AuditObject(
        kind,
        each.attrib["ParticipantObjectID"],
        each.findtext("ParticipantObjectName", ""),
        b64decode(query, validate=True) if query is not None else None,
        tuple(
            (detail.attrib["type"], b64decode(detail.attrib["value"], validate=True))
            for detail in each.iterfind("ParticipantObjectDetail")
        ),
        _attributes(described, "Accession", "Number"),
        _attributes(described, "MPPS", "UID"),
        tuple(
            (sop_class.get("UID", ""), int(sop_class.attrib["NumberOfInstances"]))
            for sop_class in (described.iterfind("SOPClass") if described is not None else ())
        ),
        None if anonymized is None else anonymized in ("true", "1"),
    )


def _attributes(found: ElementTree.Element | None, tag: str, name: str) -> tuple[str, ...]:
    if found is None:
        return ()
    return tuple(each.attrib[name] for each in found.iterfind(tag))


def _term(each: ElementTree.Element) -> AuditTerm:
    code, scheme = each.attrib["csd-code"], each.attrib["codeSystemName"]
    meaning = each.get("originalText") or each.get("displayName") or ""
    return KNOWN_TERMS.get((code, scheme)) or AuditTerm(code, scheme, meaning)


def _child(each: ElementTree.Element, tag: str) -> ElementTree.Element:
    found = each.find(tag)
    if found is None:
        raise ValueError(f"{each.tag} has no {tag}")
    return found
