"""Procedure Logs: valid, continued in order, and read by DCMTK's SR module."""

from __future__ import annotations

import os
from pathlib import Path

import pydicom
import pytest

from agent.dataset.attributes import Attributes
from agent.dataset.attributes_encoding import decode_attributes
from agent.dataset.file_meta import read_file_meta
from agent.errors import LocalError
from agent.objects.content_tree import Container, Text
from agent.objects.description import InstanceDescription
from agent.objects.procedural_note import NOTES, noted
from agent.objects.procedure_log import EarlierLog, references_of, write_procedure_log
from agent.objects.references import Code, InstanceReference
from agent.objects.relationships import PROCEDURE_LOG, check
from tests.objects.examples import MOMENT, device, examination, file_meta_of
from tests.objects.judging import by_dcmtk, dump, errors_of

FRAME = "1.2.840.10008.15.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"


class Log:
    """A log that is written and continued in files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.identity = examination()
        self.written: list[Path] = []

    def add(
        self,
        event: Attributes,
        *,
        synchronized: bool = False,
        evidence: tuple[InstanceReference, ...] = (),
    ) -> pydicom.Dataset | None:
        number = len(self.written) + 1
        path = self.folder / f"{number}.dcm"
        uid = f"1.2.3.4.{number}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
        try:
            made = write_procedure_log(
                descriptor,
                event,
                self._earlier(),
                self.identity,
                device(),
                InstanceDescription(uid, number, MOMENT),
                synchronization_frame=FRAME,
                synchronized=synchronized,
                evidence=evidence,
                file_meta=file_meta_of(PROCEDURE_LOG, uid),
            )
        finally:
            os.close(descriptor)
        if made is None:
            assert path.stat().st_size == 0
            return None
        self.written.append(path)
        dump(path)
        assert errors_of(path) == []
        return pydicom.dcmread(path)

    def _earlier(self) -> EarlierLog | None:
        if not self.written:
            return None
        descriptor = os.open(self.written[-1], os.O_RDONLY)
        try:
            meta = read_file_meta(descriptor)
            data = os.pread(descriptor, 1 << 20, meta.data_set_offset)
        finally:
            os.close(descriptor)
        reference = InstanceReference(
            PROCEDURE_LOG,
            meta.media_storage_sop_instance_uid,
            self.identity.series.instance_uid,
            self.identity.study.instance_uid,
        )
        return EarlierLog(decode_attributes(data, meta.encoding), reference)


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


def entries(made: pydicom.Dataset) -> list[pydicom.Dataset]:
    return [each for each in made.ContentSequence if each.RelationshipType == "CONTAINS"]


def texts(made: pydicom.Dataset | None) -> list[str]:
    assert made is not None
    return [each.TextValue for each in entries(made)]


def at(minute: str, text: str, observer: str = "Weiß^Anna") -> Attributes:
    return noted("nurse", text, f"2025010212{minute}00", observer)


def test_a_log_has_its_entries_in_the_order_of_their_times(log: Log) -> None:
    assert texts(log.add(at("30", "later"))) == ["later"]
    assert texts(log.add(at("10", "Größe"))) == ["Größe", "later"]
    # 11:20 UTC, before 12:30 of MOMENT's zone, which is 11:30 UTC.
    made = log.add(noted("nurse", "between", "20250102112000+0000", "B^B"))
    assert texts(made) == ["Größe", "between", "later"]
    shown = by_dcmtk("dsrdump", log.written[-1])
    assert shown.index("Größe") < shown.index("between") < shown.index("later")


def test_a_log_names_the_one_before_and_stays_partial(log: Log) -> None:
    first, second = log.add(at("10", "a")), log.add(at("20", "b"))
    assert first is not None and second is not None
    assert "PredecessorDocumentsSequence" not in first
    (study,) = second.PredecessorDocumentsSequence
    (series,) = study.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == first.SeriesInstanceUID == second.SeriesInstanceUID
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert (second.CompletionFlag, second.InstanceNumber) == ("PARTIAL", 2)
    assert second.ContentTemplateSequence[0].TemplateIdentifier == "3001"


def test_what_comes_again_is_logged_once(log: Log) -> None:
    log.add(at("10", "a"))
    assert log.add(at("10", "a")) is None
    assert texts(log.add(at("10", "a", "Other^Nurse"))) == ["a", "a"]


def test_each_entry_has_its_own_observer_and_the_log_ours(log: Log) -> None:
    log.add(at("10", "a", "A^A"))
    made = log.add(at("20", "b", "B^B"))
    assert made is not None
    names = [
        [each.PersonName for each in entry.ContentSequence if each.ValueType == "PNAME"]
        for entry in entries(made)
    ]
    assert names == [["A^A"], ["B^B"]]
    own = [each for each in made.ContentSequence if each.RelationshipType == "HAS OBS CONTEXT"]
    assert [each.ConceptNameCodeSequence[0].CodeValue for each in own][:2] == ["121005", "121012"]
    assert not any(each.ValueType == "PNAME" for each in own)


def test_context_of_a_root_is_kept_once(log: Log) -> None:
    room = Attributes(ValueType="TEXT", RelationshipType="HAS ACQ CONTEXT", TextValue="LAB 1")
    name = Attributes(CodeValue="121121", CodingSchemeDesignator="DCM", CodeMeaning="Room")
    room.set("ConceptNameCodeSequence", [name])
    for minute in ("10", "20"):
        event = at(minute, "a")
        event.set("ContentSequence", [room, *event.items_of("ContentSequence")])
        made = log.add(event)
    assert made is not None
    rooms = [each for each in made.ContentSequence if each.RelationshipType == "HAS ACQ CONTEXT"]
    assert [each.TextValue for each in rooms] == ["LAB 1"]


def test_a_log_is_synchronized_while_all_its_times_are(log: Log) -> None:
    values = []
    for minute, synchronized in (("10", True), ("20", True), ("30", False), ("40", True)):
        made = log.add(at(minute, "a"), synchronized=synchronized)
        assert made is not None
        assert made.SynchronizationFrameOfReferenceUID == FRAME
        values.append(made.AcquisitionTimeSynchronized)
    assert values == ["Y", "Y", "N", "N"]


def test_objects_that_entries_name_are_evidence(log: Log) -> None:
    event = at("10", "a")
    image = Attributes(
        ValueType="IMAGE", RelationshipType="CONTAINS", ObservationDateTime="20250102121100"
    )
    image.set(
        "ReferencedSOPSequence",
        [Attributes(ReferencedSOPClassUID=CT, ReferencedSOPInstanceUID="1.2.5")],
    )
    event.set("ContentSequence", [*event.items_of("ContentSequence"), image])
    assert references_of(event) == [(CT, "1.2.5")]
    study = log.identity.study.instance_uid
    log.add(event, evidence=(InstanceReference(CT, "1.2.5", "1.2.6", study),))
    other = InstanceReference(CT, "1.2.7", "1.2.8", "1.2.9")
    made = log.add(at("20", "b"), evidence=(other,))
    assert made is not None
    (own,) = made.CurrentRequestedProcedureEvidenceSequence
    (elsewhere,) = made.PertinentOtherEvidenceSequence
    assert own.ReferencedSeriesSequence[0].SeriesInstanceUID == "1.2.6"
    assert elsewhere.StudyInstanceUID == "1.2.9"


def test_a_value_that_breaks_its_vr_is_refused(log: Log) -> None:
    event = at("10", "a")
    concept = event.items_of("ContentSequence")[-1].item_of("ConceptNameCodeSequence")
    concept.set("CodeMeaning", "x" * 65)
    with pytest.raises(LocalError, match="too long"):
        log.add(event)


def test_a_log_has_no_containers_below_its_root() -> None:
    heading = Code("121070", "DCM", "Findings")
    note = Text(concept=NOTES["nurse"], text="a")
    check(Container(concept=heading, children=(note,)), PROCEDURE_LOG)
    with pytest.raises(LocalError, match="CONTAINER CONTAINS CONTAINER"):
        check(Container(concept=heading, children=(Container(concept=heading),)), PROCEDURE_LOG)
