"""Occasions that need hardware, people or services of others: which messages they make."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from agent.archive.audit_records import AuditedStudy, NumberRanges
from agent.loop import Loop, ManualClock
from agent.security.audit_events import faults
from agent.security.audit_message import AuditMessage
from agent.workflow.audit_alerts import Alerts
from agent.workflow.audit_occasions import OCCASIONS, refused
from agent.workflow.audit_participants import Us
from agent.workflow.audit_transfers import TransferKey, Transfers
from agent.workflow.examination_record import ExaminationRecord
from agent.workflow.export_record import ExportRecord
from agent.workflow.export_settings import Plan, Target
from agent.workflow.import_record import ImportRecord

US = Us("box", ("GANTRY",))
CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"


def made(occasion: str, **fields: Any) -> list[AuditMessage]:
    """Its messages, each right by its table."""
    messages = list(OCCASIONS[occasion](US, fields))
    assert [fault for each in messages for fault in faults(each)] == []
    return messages


def a_study(*classes: tuple[str, int], instances: int = 3) -> AuditedStudy:
    return AuditedStudy("1.2", "A1", instances, "4711", "Doe^Jane", classes)


@pytest.mark.parametrize(
    ("before", "left", "events"),
    [
        (a_study((CT, 3)), None, {"DICOM Study Deleted": {CT: 3}}),
        (a_study((CT, 2)), None, {"DICOM Instances Accessed": {CT: 2}}),
        (a_study((CT, 2), (MR, 1)), a_study((CT, 2)), {"DICOM Instances Accessed": {MR: 1}}),
        (a_study((CT, 3)), a_study((CT, 3)), {}),
    ],
)
def test_a_deletion_is_of_the_study_or_of_some_of_its_objects(
    before: AuditedStudy, left: AuditedStudy | None, events: dict[str, dict[str, int]]
) -> None:
    messages = made("objects deleted", before=[before], left=[left] if left else [])
    found = {each.event.meaning: dict(each.objects[0].sop_classes) for each in messages}
    assert found == events
    assert all(each.action == "D" for each in messages)


def test_a_patient_without_an_order_is_made_up_and_the_operator_is_named() -> None:
    record = ExaminationRecord(1, "us", 1.0, "1.2", operator="nurse@clinic")
    record.patient.set("PatientID", "NEW")
    patient, procedure = made("examination begun for", record=record)
    assert (patient.event.meaning, patient.action) == ("Patient Record", "C")
    assert procedure.event.meaning == "Procedure Record"
    assert [(each.user_id, each.requestor) for each in patient.participants][1:] == [
        ("nurse@clinic", True)
    ]


@pytest.mark.parametrize(
    ("kind", "path", "mount", "media", "address"),
    [
        ("folder", "/media/stick/out", "/media/stick", "USB Disk Emulation", ""),
        ("folder", "/srv/out", "", "URI", ""),
        ("disc", "/dev/sr0", "", "CD", ""),
        ("mail", "mailto:doctor@practice.example", "", "Email", "doctor@practice.example"),
    ],
)
def test_an_export_names_its_medium(
    kind: str, path: str, mount: str, media: str, address: str
) -> None:
    plan = Plan("STD-GEN-CD", ("1.2", "1.3"), (1, 1), (("P", "N"),), (), 0, mount)
    for reason, outcome in (("", 0), ("the disc is full", 8)):
        record = ExportRecord(1, "COMPLETED", 1.0, Target(kind, path), plan, reason=reason)
        (message,) = made("exported", record=record)
        medium = message.participants[-1]
        assert medium.media is not None
        assert (medium.media.meaning, medium.address) == (media, address)
        assert (message.outcome, message.description) == (outcome, reason)


@pytest.mark.parametrize(("failed", "outcome"), [(0, 0), (2, 4)])
def test_an_import_names_the_medium_and_whose_images_they_are_now(
    failed: int, outcome: int
) -> None:
    examination = ExaminationRecord(1, "import", 1.0, "1.2")
    examination.patient.set("PatientID", "4711")
    record = ImportRecord(examination, "/media/stick", failed=failed)
    images = [SimpleNamespace(sop_class_uid=each) for each in (CT, CT, MR)]
    (message,) = made("imported", record=record, made=images)
    medium = message.participants[-1]
    assert (medium.user_id, medium.requestor) == ("file:///media/stick", False)
    assert dict(message.objects[0].sop_classes) == {CT: 2, MR: 1}
    assert message.objects[1].identifier == "4711"
    assert message.outcome == outcome


def test_an_export_of_nothing_that_failed_names_no_patient() -> None:
    plan = Plan("STD-GEN-CD", (), (), (), (), 0, "")
    record = ExportRecord(1, "FAILED", 1.0, Target("folder", "/x"), plan, reason="nothing to do")
    (message,) = made("exported", record=record)
    assert message.objects[-1].identifier == ""


def test_who_is_who_is_told_by_the_access_rules() -> None:
    fields = {"address": "192.0.2.7", "calling": "CT1", "user": "nurse", "reason": "why not"}
    for event, name, outcome in (
        ("tls.refused", "Security Alert", 8),
        ("user.authenticated", "User Authentication", 0),
        ("user.refused", "User Authentication", 4),
        ("access.refused", "Security Alert", 4),
    ):
        (message,) = refused(US, event, fields)
        assert list(faults(message)) == []
        assert (message.event.meaning, message.outcome) == (name, outcome)
        assert "nurse" in {each.user_id for each in message.participants}


def test_who_is_shut_out_is_named_by_what_was_counted() -> None:
    for kind, who, node in (
        ("host", "192.0.2.7", "192.0.2.7"),
        ("title", "CT1", "box"),
        ("user", "nurse", "box"),
    ):
        (message,) = refused(US, "access.locked_out", {"kind": kind, "who": who, "seconds": 60.0})
        assert list(faults(message)) == []
        assert (message.types[0].meaning, message.outcome) == ("Node Authentication", 8)
        assert message.participants[1].user_id == who
        assert message.objects[0].identifier == node
        assert message.description == f"The {kind} {who} is shut out for 60 s after failures"


def test_a_user_who_is_not_who_it_says_is_no_mere_refusal() -> None:
    for reason in ("identity", "identity-missing", "not-verified"):
        (message,) = refused(US, "access.refused", {"address": "192.0.2.7", "reason": reason})
        assert (message.event.meaning, message.outcome) == ("User Authentication", 4)
    assert not list(refused(US, "access.refused", {"address": "192.0.2.7", "reason": "limit"}))


def test_a_refusal_for_want_of_room_is_no_alert() -> None:
    fields = {"calling": "A", "called": "B", "address": "192.0.2.7"}
    assert not made("association rejected", **fields, reason="rejected-transient, x, y")
    assert made("association rejected", **fields, reason="rejected-permanent, x, y")
    error = SimpleNamespace(clause="PS3.8 9.1", message="reset")
    assert not made("connection failed", address="192.0.2.7", error=error)


def test_alerts_in_numbers_are_counted_in_bounds() -> None:
    recorded: list[AuditMessage] = []
    clock = ManualClock()

    async def main() -> None:
        alerts = Alerts(recorded.append)
        for number in range(5000):
            fields = {"address": "192.0.2.7", "calling": f"AE{number % 1000}", "reason": "no"}
            alerts.note(refused(US, "access.refused", fields))
        alerts.end()

    Loop(clock).run(main())
    assert 256 <= len(recorded) <= 520
    told = [each.description for each in recorded]
    assert (
        sum(int(each.split("(")[1].split()[0]) for each in told if "more times" in each)
        + len([each for each in told if "more times" not in each])
        == 5000
    )


def test_objects_of_one_association_are_one_transfer_however_many() -> None:
    transfers = Transfers(10.0, 300.0)
    key = TransferKey("main", True, "GANTRY", "CT1", "192.0.2.7", "1", "", "C", False)
    other = key._replace(association="2")
    first = [transfers.note(key, number, 0.0, 0.0) for number in range(1, 100_001, 2)]
    assert first[0]
    assert len(list(transfers.take_over(1.0))) > 100  # every second number: ranges are bounded
    assert transfers.note(other, 7, 1.0, 1.0)
    for number in (9, 8, 10, 12, 11):
        assert not transfers.note(other, number, 1.0, 2.0)
    assert transfers.first_received("main") == 7
    transfers.end_association("2")
    (over,) = [each for each in transfers.take_over(1.0) if each.key == other]
    assert min(over.numbers.ranges)[0] == 7
    assert len(over.numbers) <= 3


def test_what_is_about_to_be_deleted_is_told_of_first() -> None:
    transfers = Transfers(10.0, 300.0)
    keys = [
        TransferKey("main", True, "GANTRY", "CT1", "", str(number), "", "C", False)
        for number in range(2)
    ]
    for number in (1, 2, 3):
        transfers.note(keys[0], number, 0.0, 0.0)
        transfers.note(keys[1], 10 + number, 0.0, 0.0)
    transfers.end_about("main", [40, 12])
    assert [each.key for each in transfers.take_over(0.0)] == [keys[1]]
    transfers.end_about("other", [1])
    assert list(transfers.take_over(0.0)) == []
    assert transfers.next_end() == 10.0
    assert [each.key for each in transfers.take_over(10.0)] == [keys[0]]


def test_ranges_hold_what_was_added() -> None:
    ranges = NumberRanges([5, 6, 7, 6, 9, 8, 100])
    assert sorted({n for first, last in ranges.ranges for n in range(first, last + 1)}) == [
        *range(5, 10),
        100,
    ]
