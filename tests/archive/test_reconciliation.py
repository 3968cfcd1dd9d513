"""All objects of an examination change at once, in every encoding, and go again where they went."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import dcmread

from agent.archive.decision import DELIVER, JobPlan
from agent.archive.examinations import WAITS_FOR_REVIEW, ExaminationRow
from agent.archive.procedure_steps import pack
from agent.archive.reconciliation import Reconciled
from agent.dataset.attributes import Attributes
from agent.dataset.attributes_encoding import with_character_set
from agent.dataset.transfer_syntaxes import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from agent.errors import GantryError
from tests.archive.objects import Rules, Worker, files, sample

CHANGES = with_character_set(
    Attributes.of(
        {
            "PatientName": "Müller^Jörg",
            "PatientID": "P1",
            "StudyInstanceUID": "1.2.9",
            "AccessionNumber": "",
            "OtherPatientIDsSequence": [],
            "RequestAttributesSequence": [
                {
                    "RequestedProcedureID": "RP1",
                    "RequestedProcedureDescription": "Größe",
                    "ScheduledProtocolCodeSequence": [{"CodeMeaning": "Ganz"}],
                }
            ],
        }
    )
)


def row(study: str = "1.2.9", number: int = 0) -> ExaminationRow:
    return ExaminationRow(number, "COMPLETED", "us", 1.0, 0.0, study, "{}")


def reconcile(worker: Worker, numbers: list[int], changes: Attributes = CHANGES) -> Reconciled:
    pairs = tuple((each, worker.call("restage", each, pack(changes), "exam")) for each in numbers)
    done: Reconciled = worker.call("reconcile", pairs, row(), "exam", {"former": "1.2.3"})
    worker.call("sweep")
    return done


@pytest.mark.parametrize("character_set", ["", "ISO_IR 100", "ISO_IR 192"])
@pytest.mark.parametrize(
    "syntax",
    [
        IMPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_BIG_ENDIAN,
        DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    ],
)
def test_texts_and_sequences_are_written_as_the_object_is(
    tmp_path: Path, syntax: str, character_set: str
) -> None:
    data = sample(character_set=character_set, transfer_syntax=syntax)
    with Worker(tmp_path) as worker:
        worker.store(data)
        assert reconcile(worker, [1]) == Reconciled(1, {})
        assert worker.rows("SELECT study_instance_uid FROM study") == [("1.2.9",)]
        assert worker.rows("SELECT study_instance_uid FROM examination") == [("1.2.9",)]
    (path,) = tmp_path.glob("objects/*/*.dcm")
    made = dcmread(path)
    made.decode()
    assert made.SpecificCharacterSet == (character_set or "ISO_IR 192")
    assert (str(made.PatientName), made.PatientID) == ("Müller^Jörg", "P1")
    assert made.AccessionNumber == ""
    assert "OtherPatientIDsSequence" not in made
    (request,) = made.RequestAttributesSequence
    assert request.RequestedProcedureDescription == "Größe"
    assert request.ScheduledProtocolCodeSequence[0].CodeMeaning == "Ganz"
    assert made.PixelData == b"\1\2" * 500
    (was,) = made.OriginalAttributesSequence[0].ModifiedAttributesSequence
    assert (str(was.PatientName), was.StudyInstanceUID) == ("Doe^Jane", "1.2.3")
    assert was.RequestAttributesSequence == []


def test_what_a_peer_has_or_just_gets_goes_there_again_and_what_waits_goes_once(
    tmp_path: Path,
) -> None:
    with Worker(tmp_path, Rules(("PACS",), plan={"priority": 3})) as worker:
        worker.store(sample("1.2.3.1"), sample("1.2.3.2"), sample("1.2.3.3"))
        done, going = worker.queue("claim", "PACS", 2, keep_order=False)
        worker.queue("finish", done.id)
        worker.queue("add", JobPlan(DELIVER, "OLD"), instance=3)
        (old,) = worker.queue("claim", "OLD", 1)
        worker.queue("finish", old.id)
        again = {"PACS": 2, "OLD": 1}
        assert reconcile(worker, [1, 2, 3]) == Reconciled(3, again)
        worker.queue("finish", going.id)
        jobs = worker.queue("claim", "PACS", 9, keep_order=False)
        assert sorted(each.sop_instance_uid for each in jobs) == ["1.2.3.1", "1.2.3.2", "1.2.3.3"]
        assert {(each.priority, each.study_instance_uid) for each in jobs} == {(3, "1.2.9")}
        (job,) = worker.queue("claim", "OLD", 9)
        assert job.sop_instance_uid == "1.2.3.3"
        ((action, detail),) = worker.rows("SELECT action, detail FROM correction")
        assert action == "reconcile" and '"PACS": 2' in detail


def test_what_was_reviewed_once_is_not_held_for_it_again(tmp_path: Path) -> None:
    with Worker(tmp_path, Rules(("PACS",), plan={"hold": WAITS_FOR_REVIEW})) as worker:
        worker.store(sample())
        worker.queue("again", [1])
        (job,) = worker.queue("claim", "PACS", 1)
        worker.queue("finish", job.id)
        reconcile(worker, [1])
        assert len(worker.queue("claim", "PACS", 1)) == 1


def test_where_one_cannot_be_changed_none_is(tmp_path: Path) -> None:
    with Worker(tmp_path, Rules(("PACS",))) as worker:
        worker.store(sample("1.2.3.1"), sample("1.2.3.2"))
        before = files(tmp_path)
        staged = [(each, worker.call("restage", each, pack(CHANGES), "exam")) for each in (1, 2)]
        (lost,) = tmp_path.glob(f"objects/*/*{staged[1][1]}.dcm")
        lost.unlink()
        with pytest.raises(GantryError):
            worker.call("reconcile", tuple(staged), row(), "exam", {})
        assert worker.rows("SELECT * FROM examination") == []
        assert worker.rows("SELECT * FROM correction") == []
        assert worker.rows("SELECT DISTINCT study_instance_uid FROM study") == [("1.2.3",)]
        worker.call("abandon", tuple(new for _, new in staged))
        while worker.call("sweep"):
            pass
        assert files(tmp_path) == before
        assert reconcile(worker, [1, 2]).objects == 2


def test_what_was_deleted_meanwhile_stays_deleted(tmp_path: Path) -> None:
    with Worker(tmp_path) as worker:
        worker.store(sample("1.2.3.1"), sample("1.2.3.2"))
        pairs = [(each, worker.call("restage", each, pack(CHANGES), "exam")) for each in (1, 2)]
        worker.call("delete", [1], False)
        done = worker.call("reconcile", tuple(pairs), row(), "exam", {})
        assert done == Reconciled(1, {})
    with Worker(tmp_path):
        assert len(files(tmp_path)) == 1
