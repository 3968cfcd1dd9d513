"""Audit messages against the schema and the tables of PS3.15 A.5, judged by libxml2."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest
from pydicom.sr._concepts_dict import concepts

from agent.errors import LocalError
from agent.security import audit_terms as terms
from agent.security.audit_events import EVENT_ROWS, EventRow, faults
from agent.security.audit_message import (
    AuditMessage,
    AuditObject,
    AuditSource,
    ObjectKind,
    Participant,
)
from agent.security.audit_reading import faults_of, read_message
from agent.security.audit_terms import AuditTerm
from tests.peers.programs import Completed, program, run

SCHEMA = Path(__file__).parent / "audit-message.rng"
SOURCE = AuditSource("box", "General Hospital", "2")
WHEN = 1_700_000_000.5
HOSTILE = '"><AuditMessage/>&amp;\0\x1b\ud800\ufffe]]>\n<!--é日本'


def judged(folder: Path, documents: Sequence[str]) -> Completed:
    """What xmllint says of them by the schema of the standard."""
    files = []
    for number, document in enumerate(documents):
        file = folder / f"{number}.xml"
        file.write_bytes(document.encode("utf-8", "surrogatepass"))
        files.append(file)
    return run(
        [program("libxml2-utils", "xmllint"), "--noout", "--nonet", "--relaxng", SCHEMA, *files]
    )


def a_thing(kind: ObjectKind, text: str = "1.2.3") -> AuditObject:
    if kind is ObjectKind.QUERY:
        details = (("TransferSyntax", b"1.2.840.10008.1.2"),)
        return AuditObject(kind, text, query=b"\x08\0\x52\0", details=details)
    if kind in (ObjectKind.NODE, ObjectKind.RESOURCE):
        return AuditObject(
            kind, text, text, details=(("Alert Description", text.encode("utf-8", "replace")[:9]),)
        )
    if kind is ObjectKind.STUDY:
        return AuditObject(
            kind,
            text,
            text,
            accession_numbers=(text,),
            steps=("1.2",),
            sop_classes=(("1.2.840.10008.5.1.4.1.1.2", 3),),
            anonymized=True,
        )
    return AuditObject(kind, text, text)


def right(row: EventRow, *, most: bool = False, text: str = "1.2.3") -> AuditMessage:
    """A message that says the least, or the most, that its table wants."""
    participants: list[Participant] = []
    asked = not row.one_requestor
    for part in row.parts:
        for _ in range(min(part.most, 3) if most else part.least):
            media = terms.CD if part.media else None
            asks = not asked and part.may_request
            asked |= asks
            name = f"{text}{len(participants)}"
            participants.append(
                Participant(
                    name,
                    (part.role,) if part.role else (),
                    asks,
                    ("AE", "TWO") if most else (),
                    name=text if most else "",
                    address="fe80::1" if most else "",
                    media=media,
                )
            )
    things = tuple(
        a_thing(each.kind, text)
        for each in row.things
        for _ in range(min(each.most, 2) if most else each.least)
    )
    return AuditMessage(
        row.event,
        row.actions[-1],
        WHEN,
        tuple(participants),
        things,
        tuple(sorted(row.types))[:1],
        8 if most else 0,
        text if most else "",
    )


ROWS = list(EVENT_ROWS.values())


def test_every_event_of_the_annex_has_its_table() -> None:
    assert [row.clause for row in ROWS] == [f"A.5.3.{number}" for number in range(1, 16)]
    assert [int(row.event.code) for row in ROWS] == [
        *(110100, 110101, 110102, 110106, 110107, 110103, 110104, 110105),
        *(110108, 110112, 110113, 110114, 110109, 110110, 110111),
    ]


def test_codes_have_the_meanings_of_ps3_16() -> None:
    known = {
        code: meanings
        for codes in concepts["DCM"].values()
        for code, (meanings, *_) in codes.items()
    }
    checked = 0
    for term in terms.KNOWN_TERMS.values():
        if term.scheme == "DCM" and term.code in known:
            assert known[term.code] == term.meaning
            checked += 1
    assert checked > 35


@pytest.mark.peer
@pytest.mark.parametrize(
    "text", ["1.2.3", HOSTILE, "é日本 ^Ünï"], ids=["plain", "hostile", "names"]
)
def test_messages_of_every_event_are_valid_by_the_schema(tmp_path: Path, text: str) -> None:
    messages = [right(row, most=most, text=text) for row in ROWS for most in (False, True)]
    for message in messages:
        assert list(faults(message)) == []
    judged(tmp_path, [each.xml(SOURCE) for each in messages]).check()


@pytest.mark.peer
def test_the_judge_sees_what_is_against_the_schema(tmp_path: Path) -> None:
    good = right(EVENT_ROWS[terms.QUERY]).xml(SOURCE)
    for number, (old, new) in enumerate(
        (
            ('EventOutcomeIndicator="0"', 'EventOutcomeIndicator="7"'),
            ('EventDateTime="2023-11-14T22:13:20.500Z"', 'EventDateTime="yesterday"'),
            (' UserIsRequestor="false"', ""),
            (' originalText="Query"', ""),
            ("</ParticipantObjectQuery>", "<Extra/></ParticipantObjectQuery>"),
            ("csd-code", "code"),
            ("</AuditMessage>", "<Extra/></AuditMessage>"),
        )
    ):
        assert old in good
        folder = tmp_path / str(number)
        folder.mkdir()
        assert judged(folder, [good.replace(old, new)]).returncode != 0


def changed(message: AuditMessage, **fields: object) -> AuditMessage:
    return dataclasses.replace(message, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("row", ROWS, ids=[row.event.meaning for row in ROWS])
def test_what_is_against_its_table_is_seen(row: EventRow) -> None:
    message = right(row)
    wrong = [
        changed(message, action="X"),
        changed(message, participants=()),
        changed(
            message,
            participants=tuple(
                dataclasses.replace(each, requestor=True)
                for each in (*message.participants, *message.participants)
            ),
        ),
        changed(message, event=AuditTerm("1", "DCM", "No event")),
    ]
    if row.types:
        wrong.append(changed(message, types=()))
    if any(each.least for each in row.things):
        wrong.append(changed(message, objects=()))
    if not any(each.kind is ObjectKind.AUDIT_LOG for each in row.things):
        wrong.append(changed(message, objects=(*message.objects, a_thing(ObjectKind.AUDIT_LOG))))
    for each in wrong:
        assert list(faults(each)), each


def test_conditions_of_the_tables_are_seen() -> None:
    query = right(EVENT_ROWS[terms.QUERY])
    bare = dataclasses.replace(query.objects[0], details=())
    assert "no TransferSyntax" in " ".join(faults(changed(query, objects=(bare,))))
    alert = right(EVENT_ROWS[terms.SECURITY_ALERT])
    node = AuditObject(ObjectKind.NODE, "192.0.2.1")
    assert "no Alert Description" in " ".join(faults(changed(alert, objects=(node,))))
    export = right(EVENT_ROWS[terms.EXPORT])
    without = tuple(dataclasses.replace(each, media=None) for each in export.participants)
    assert "no MediaType" in " ".join(faults(changed(export, participants=without)))
    deleted = right(EVENT_ROWS[terms.STUDY_DELETED])
    study = AuditObject(ObjectKind.STUDY, "1.2", accession_numbers=("A1",))
    patient = a_thing(ObjectKind.PATIENT)
    said = " ".join(faults(changed(deleted, objects=(study, patient))))
    assert "described without a SOP class" in said


@pytest.mark.parametrize("row", ROWS, ids=[row.event.meaning for row in ROWS])
def test_a_message_that_is_read_back_says_the_same(row: EventRow) -> None:
    message = right(row, most=True)
    found = read_message(message.xml(SOURCE).encode())
    expected = changed(
        message,
        participants=tuple(
            dataclasses.replace(each, titles=(), alternative="AETITLES=AE;TWO")
            for each in message.participants
        ),
    )
    assert found == expected


def test_access_points_have_their_types() -> None:
    for address, kind in (
        ("192.0.2.1", "2"),
        ("2001:db8::1", "2"),
        ("box.example.org", "1"),
        ("doctor@practice.example", "4"),
        ("file:///media/stick", "5"),
    ):
        told = AuditMessage(
            terms.NETWORK_ENTRY, "E", WHEN, (Participant("1", address=address),)
        ).xml(SOURCE)
        assert f'NetworkAccessPointTypeCode="{kind}"' in told


def test_the_time_bears_its_zone() -> None:
    told = right(EVENT_ROWS[terms.QUERY]).xml(SOURCE)
    assert 'EventDateTime="2023-11-14T22:13:20.500Z"' in told


def test_what_is_no_audit_message_is_refused() -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY b "' + b"c" * 99 + b'">]><AuditMessage>&b;</AuditMessage>'
    for document in (
        b"",
        b"<a/>",
        b"<AuditMessage/>",
        b"\xff",
        bomb,
        b" " * (5 << 20),
        right(ROWS[0]).xml(SOURCE).replace("2023", "year").encode(),
        right(ROWS[0]).xml(SOURCE).replace('"0"', '"zero"').encode(),
        right(EVENT_ROWS[terms.QUERY]).xml(SOURCE).replace("CABSAA==", "CAB*").encode(),
    ):
        with pytest.raises(LocalError):
            list(faults_of(document))
