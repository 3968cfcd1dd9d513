"""Structured reports and key object selections: valid, and read by DCMTK's SR module."""

import dataclasses
import os

import pydicom
import pytest

from agent.errors import LocalError
from agent.objects.content_tree import (
    HAS_ACQUISITION_CONTEXT,
    HAS_CONCEPT_MODIFIER,
    HAS_OBSERVATION_CONTEXT,
    HAS_PROPERTIES,
    INFERRED_FROM,
    SELECTED_FROM,
    Coded,
    Composite,
    Container,
    Date,
    DateTime,
    Image,
    Number,
    PersonName,
    SpatialCoordinates,
    TemporalCoordinates,
    Text,
    Time,
    UidReference,
    Waveform,
)
from agent.objects.description import InstanceDescription
from agent.objects.given import elements_of
from agent.objects.references import Code, InstanceReference
from agent.objects.relationships import (
    BASIC_TEXT_SR,
    COMPREHENSIVE_SR,
    ENHANCED_SR,
    KEY_OBJECT_SELECTION,
    check,
)
from agent.objects.reports import Verification, key_object_selection, write_report
from agent.objects.ultrasound import ULTRASOUND_IMAGE, ULTRASOUND_MULTI_FRAME_IMAGE
from agent.objects.waveform_iods import GENERAL_ECG
from tests.objects.examples import MOMENT, device, examination, file_meta_of
from tests.objects.judging import by_dcmtk, dump, errors_of

REPORT = Code("18782-3", "LN", "Radiology Study observation (narrative)")
FINDING = Code("121071", "DCM", "Finding")
FINDINGS = Code("121070", "DCM", "Findings")
LENGTH = Code("410668003", "SCT", "Length")
MILLIMETRE = Code("mm", "UCUM", "millimeter")
IMAGE = InstanceReference(ULTRASOUND_IMAGE, "1.2.3.1", "1.2.3")
CLIP = InstanceReference(ULTRASOUND_MULTI_FRAME_IMAGE, "1.2.3.2", "1.2.3", frames=(2, 3))
ELSEWHERE = InstanceReference(ULTRASOUND_IMAGE, "1.2.8.1", "1.2.8", "1.2.9")
ECG = InstanceReference(GENERAL_ECG, "1.2.4.1", "1.2.4")

OBSERVER = PersonName(
    relationship=HAS_OBSERVATION_CONTEXT,
    concept=Code("121008", "DCM", "Person Observer Name"),
    name="Weiß^Anna",
)
BASIC = (
    OBSERVER,
    Container(
        concept=FINDINGS,
        children=(
            Text(
                concept=FINDING,
                text="Größe normal.\r\nNo \\ other finding",
                children=(
                    Image(relationship=INFERRED_FROM, reference=IMAGE),
                    Image(relationship=HAS_PROPERTIES, reference=CLIP),
                    Waveform(relationship=INFERRED_FROM, reference=ECG),
                ),
            ),
            Coded(
                concept=FINDING,
                code=Code("17621005", "SCT", "Normal"),
                children=(
                    Text(relationship=HAS_CONCEPT_MODIFIER, concept=FINDING, text="modified"),
                ),
            ),
            Date(concept=FINDING, date="20250102"),
            Time(concept=FINDING, time="101112"),
            DateTime(concept=FINDING, date_time="20250102101112+0100"),
            UidReference(concept=FINDING, uid="1.2.3"),
            Composite(reference=ELSEWHERE),
        ),
    ),
)
MEASURED = Number(
    concept=LENGTH,
    number=12.5,
    units=MILLIMETRE,
    children=(
        SpatialCoordinates(
            relationship=INFERRED_FROM,
            graphic_type="POLYLINE",
            points=(1.0, 2.0, 3.5, 4.0),
            children=(Image(relationship=SELECTED_FROM, reference=IMAGE),),
        ),
        TemporalCoordinates(
            relationship=INFERRED_FROM,
            range_type="SEGMENT",
            offsets=(0.5, 1.25),
            children=(Waveform(relationship=SELECTED_FROM, reference=ECG),),
        ),
    ),
)
MISSED = Number(
    concept=LENGTH,
    number=None,
    units=MILLIMETRE,
    qualifier=Code("114006", "DCM", "Measurement failure"),
)
CONTEXT = Container(
    concept=FINDINGS,
    children=(
        Text(
            concept=FINDING,
            text="with a section",
            children=(Container(relationship=HAS_PROPERTIES, concept=FINDINGS),),
        ),
    ),
)


def written(folder, sop_class_uid, root, *, identity=None, **options):
    path = folder / "report.dcm"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        write_report(
            descriptor,
            sop_class_uid,
            root,
            identity or examination(),
            device(),
            InstanceDescription("1.2.3.4.5", 1, MOMENT, MOMENT),
            file_meta=file_meta_of(sop_class_uid, "1.2.3.4.5"),
            **options,
        )
    finally:
        os.close(descriptor)
    return path


@pytest.mark.peer
@pytest.mark.parametrize(
    ("sop_class_uid", "children"),
    [
        (BASIC_TEXT_SR, BASIC),
        (ENHANCED_SR, (*BASIC, MEASURED, MISSED)),
        (COMPREHENSIVE_SR, (*BASIC, MEASURED, CONTEXT)),
    ],
)
def test_reports_are_valid_and_dcmtk_reads_them(tmp_path, sop_class_uid, children):
    root = Container(concept=REPORT, children=children)
    path = written(tmp_path, sop_class_uid, root)
    assert errors_of(path) == []
    shown = by_dcmtk("dsrdump", path)
    assert "Größe normal" in shown and "Weiß^Anna" in shown
    assert ('"12.5"' in shown) is (sop_class_uid != BASIC_TEXT_SR)
    assert "ContentSequence" in dump(path)
    read = pydicom.dcmread(path)
    text = read.ContentSequence[1].ContentSequence[0]
    assert text.TextValue == "Größe normal.\r\nNo \\ other finding"
    assert list(text.ContentSequence[1].ReferencedSOPSequence[0].ReferencedFrameNumber) == [2, 3]


def test_the_evidence_lists_each_object_once_by_study_and_series(tmp_path):
    path = written(tmp_path, ENHANCED_SR, Container(concept=REPORT, children=(*BASIC, MEASURED)))
    read = pydicom.dcmread(path)
    (study,) = read.CurrentRequestedProcedureEvidenceSequence
    assert study.StudyInstanceUID == read.StudyInstanceUID
    found = {
        series.SeriesInstanceUID: [each.ReferencedSOPInstanceUID for each in item]
        for series in study.ReferencedSeriesSequence
        for item in [series.ReferencedSOPSequence]
    }
    assert found == {"1.2.3": ["1.2.3.1", "1.2.3.2"], "1.2.4": ["1.2.4.1"]}
    (other,) = read.PertinentOtherEvidenceSequence
    assert other.StudyInstanceUID == "1.2.9"


@pytest.mark.peer
def test_a_report_answers_the_request_and_may_be_verified(tmp_path):
    code = {"CodeValue": "P1", "CodingSchemeDesignator": "99X", "CodeMeaning": "Echo"}
    additional = elements_of(
        {
            "RequestAttributesSequence": {"RequestedProcedureID": "RP1", "AccessionNumber": "A1"},
            "ProcedureCodeSequence": code,
        }
    )
    path = written(
        tmp_path,
        BASIC_TEXT_SR,
        Container(concept=REPORT, children=BASIC),
        identity=examination(additional=additional),
        verification=Verification("Weiß^Anna", "Hospital", MOMENT),
    )
    assert errors_of(path) == []
    read = pydicom.dcmread(path)
    (request,) = read.ReferencedRequestSequence
    assert (request.RequestedProcedureID, request.AccessionNumber) == ("RP1", "A1")
    assert "RequestAttributesSequence" not in read
    assert read.PerformedProcedureCodeSequence[0].CodeMeaning == "Echo"
    assert read.VerificationFlag == "VERIFIED"
    assert str(read.VerifyingObserverSequence[0].VerifyingObserverName) == "Weiß^Anna"
    assert "Weiß^Anna" in by_dcmtk("dsrdump", path)


@pytest.mark.peer
@pytest.mark.parametrize("description", ["", "The best ones"])
def test_key_objects_are_selected(tmp_path, description):
    items = [Image(reference=IMAGE), Image(reference=CLIP), Image(reference=ELSEWHERE)]
    root = key_object_selection(
        Code("113000", "DCM", "Of Interest"), items, description=description, context=[OBSERVER]
    )
    path = written(tmp_path, KEY_OBJECT_SELECTION, root)
    assert errors_of(path) == []
    read = pydicom.dcmread(path)
    assert read.Modality == "KO"
    assert len(read.CurrentRequestedProcedureEvidenceSequence) == 2
    assert read.ContentTemplateSequence[0].TemplateIdentifier == "2010"
    shown = by_dcmtk("dsrdump", path)
    assert "Of Interest" in shown and description in shown


@pytest.mark.parametrize(
    ("sop_class_uid", "child"),
    [
        (BASIC_TEXT_SR, MEASURED),
        (BASIC_TEXT_SR, dataclasses.replace(OBSERVER, relationship=HAS_ACQUISITION_CONTEXT)),
        (ENHANCED_SR, CONTEXT),
        (KEY_OBJECT_SELECTION, MEASURED),
        (KEY_OBJECT_SELECTION, Coded(concept=FINDING, code=FINDING)),
        (COMPREHENSIVE_SR, Image(relationship=SELECTED_FROM, reference=IMAGE)),
        (COMPREHENSIVE_SR, Text(text="nameless")),
    ],
)
def test_relationships_that_the_iod_does_not_allow_are_refused(sop_class_uid, child):
    wrong = child
    if sop_class_uid == BASIC_TEXT_SR and isinstance(child, PersonName):
        wrong = Text(concept=FINDING, text="x", children=(child,))
    with pytest.raises(LocalError, match=r"not allowed|needs a concept"):
        check(Container(concept=REPORT, children=(wrong,)), sop_class_uid)


def test_what_is_no_report_is_refused(tmp_path):
    with pytest.raises(LocalError, match="container with a title"):
        check(Container(), BASIC_TEXT_SR)
    with pytest.raises(LocalError, match="No kind of report"):
        check(Container(concept=REPORT), ULTRASOUND_IMAGE)
    with pytest.raises(LocalError, match="at least one object"):
        key_object_selection(REPORT, [])
    lost = Image(reference=InstanceReference(ULTRASOUND_IMAGE, "1.2.3.1"))
    with pytest.raises(LocalError, match="must say its series"):
        written(tmp_path, BASIC_TEXT_SR, Container(concept=REPORT, children=(lost,)))
    assert (tmp_path / "report.dcm").stat().st_size == 0
