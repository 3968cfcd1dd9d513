"""From a worklist entry to objects and to the performed step (PS3.17 annex J, IHE RAD TF-2 A)."""

import dataclasses
import json
import subprocess
import sys

import pydicom
import pytest
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset

from agent.errors import ConfigurationError, LocalError
from agent.objects.description import Moment
from agent.objects.device_template import device_of
from agent.objects.iods import ULTRASOUND_IMAGE
from agent.objects.pixels import grey
from agent.objects.request_attributes import (
    ROWS,
    PerformedStep,
    description_from_worklist,
    performed_step_attributes,
)
from tests.objects.examples import ObjectFile
from tests.objects.judging import errors_of

CODE = {"CodeValue": "P1", "CodingSchemeDesignator": "99X", "CodeMeaning": "Gastroscopy"}
PROTOCOL = {"CodeValue": "T1", "CodingSchemeDesignator": "99X", "CodeMeaning": "Standard"}
STUDY = {"ReferencedSOPClassUID": "1.2.840.10008.3.1.2.3.1", "ReferencedSOPInstanceUID": "1.2.9"}
ENTRY = {
    "SpecificCharacterSet": "ISO_IR 100",
    "AccessionNumber": "A17",
    "ReferringPhysicianName": "Weiß^Anna",
    "ReferencedStudySequence": [STUDY],
    "PatientName": "Müller^Jürgen",
    "PatientID": "P-1",
    "IssuerOfPatientID": "HOSP",
    "PatientBirthDate": "19700131",
    "PatientSex": "M",
    "PatientWeight": "81.5",
    "PregnancyStatus": 4,
    "Allergies": "",
    "StudyInstanceUID": "1.2.3",
    "RequestingPhysician": "Grün^Otto",
    "RequestedProcedureID": "RP1",
    "RequestedProcedureDescription": "Endoscopy of the stomach",
    "RequestedProcedureCodeSequence": [CODE],
    "ScheduledProcedureStepSequence": [
        {
            "Modality": "ES",
            "ScheduledStationAETitle": "ENDO1",
            "ScheduledProcedureStepID": "SPS1",
            "ScheduledProcedureStepDescription": "Look inside",
            "ScheduledProtocolCodeSequence": [PROTOCOL],
            "ScheduledPerformingPhysicianName": "Braun^Eva",
        }
    ],
}
STARTED = Moment("20250102", "130000", "+0100")
STEP = PerformedStep("PPS1", STARTED, "1.2.77", modality="ES", station_ae_title="GANTRY")
TEMPLATE = {
    "manufacturer": "Acme",
    "model_name": "Scan",
    "software_versions": ["1", "2"],
    "modality": "US",
    "body_part_examined": "STOMACH",
    "attributes": {"ProtocolName": "From the template"},
}


def made(folder, entry, template=TEMPLATE, performed=STEP):
    identity = description_from_worklist(
        entry,
        template,
        study_instance_uid="1.2.55",
        series_instance_uid="1.2.56",
        series_number=4,
        performed=performed,
    )
    file = ObjectFile(folder, ULTRASOUND_IMAGE, grey(4, 4), identity=identity)
    file.writer.write_frame(bytes(16))
    file.finish()
    return file.path


def as_dataset(values):
    """By pydicom's own reading of keywords, which refuses what a keyword cannot hold."""
    dataset = Dataset()
    for keyword, value in values.items():
        if isinstance(value, list):
            value = [as_dataset(item) for item in value]
        setattr(dataset, keyword, value)
    return dataset


@pytest.mark.peer
def test_objects_carry_what_the_worklist_says(tmp_path):
    path = made(tmp_path, ENTRY)
    assert errors_of(path) == []
    read = pydicom.dcmread(path)
    assert str(read.PatientName) == "Müller^Jürgen" and read.PatientWeight == 81.5
    assert (read.PatientID, read.IssuerOfPatientID, read.PregnancyStatus) == ("P-1", "HOSP", 4)
    assert (read.AccessionNumber, read.StudyInstanceUID) == ("A17", "1.2.3")
    assert (read.StudyID, read.StudyDescription) == ("RP1", "Endoscopy of the stomach")
    assert read.ReferencedStudySequence[0].ReferencedSOPInstanceUID == "1.2.9"
    assert read.ProcedureCodeSequence[0].CodeValue == "P1"
    assert read.PerformedProtocolCodeSequence[0].CodeValue == "T1"
    (request,) = read.RequestAttributesSequence
    assert (request.RequestedProcedureID, request.ScheduledProcedureStepID) == ("RP1", "SPS1")
    assert request.RequestedProcedureDescription == "Endoscopy of the stomach"
    assert request.ScheduledProcedureStepDescription == "Look inside"
    assert request.ScheduledProtocolCodeSequence[0].CodeMeaning == "Standard"
    assert request.RequestedProcedureCodeSequence[0].CodeMeaning == "Gastroscopy"
    assert (request.AccessionNumber, request.StudyInstanceUID) == ("A17", "1.2.3")
    assert str(read.PerformingPhysicianName) == "Braun^Eva"
    assert "Allergies" not in read and "ScheduledProcedureStepSequence" not in read


def test_objects_carry_the_performed_step_and_the_template(tmp_path):
    read = pydicom.dcmread(made(tmp_path, ENTRY))
    assert read.PerformedProcedureStepID == "PPS1"
    assert read.PerformedProcedureStepStartDate == read.StudyDate == "20250102"
    assert read.PerformedProcedureStepStartTime == read.StudyTime == "130000"
    assert read.PerformedProcedureStepDescription == "Look inside"
    (reference,) = read.ReferencedPerformedProcedureStepSequence
    assert reference.ReferencedSOPClassUID == "1.2.840.10008.3.1.2.3.3"
    assert reference.ReferencedSOPInstanceUID == "1.2.77"
    assert (read.BodyPartExamined, read.ProtocolName) == ("STOMACH", "From the template")
    assert (read.SeriesNumber, read.Modality) == (4, "US")


@pytest.mark.peer
@pytest.mark.parametrize("entry", [{}, {"PatientName": "Doe^Jane", "PatientID": "E-1"}])
def test_an_unscheduled_examination_says_what_is_known(tmp_path, entry):
    path = made(tmp_path, entry)
    assert errors_of(path) == []
    read = pydicom.dcmread(path)
    assert str(read.PatientName or "") == entry.get("PatientName", "")
    assert read.StudyInstanceUID == "1.2.55" and not read.AccessionNumber
    assert "RequestAttributesSequence" not in read
    assert read.PerformedProcedureStepID == "PPS1"
    step = performed_step_attributes(entry, STEP, study_instance_uid="1.2.55")
    (scheduled,) = step["ScheduledStepAttributesSequence"]
    assert scheduled["StudyInstanceUID"] == "1.2.55"
    assert scheduled["ScheduledProcedureStepID"] == scheduled["AccessionNumber"] == ""


def test_the_performed_step_has_all_that_its_creation_asks_for():
    """PS3.4 Table F.7.2-1, requirements of the SCU for N-CREATE."""
    step = performed_step_attributes(ENTRY, STEP, study_instance_uid="1.2.55")
    dataset = as_dataset(step)
    for keyword in (
        "ScheduledStepAttributesSequence",
        "PerformedProcedureStepID",
        "PerformedStationAETitle",
        "PerformedProcedureStepStartDate",
        "PerformedProcedureStepStartTime",
        "PerformedProcedureStepStatus",
        "Modality",
    ):
        assert dataset[keyword].value, keyword
    for keyword in [
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "PatientSex",
        "ReferencedPatientSequence",
        "PerformedStationName",
        "PerformedLocation",
        "PerformedProcedureStepDescription",
        "PerformedProcedureTypeDescription",
        "ProcedureCodeSequence",
        "PerformedProcedureStepEndDate",
        "PerformedProcedureStepEndTime",
        "StudyID",
        "PerformedProtocolCodeSequence",
        "PerformedSeriesSequence",
        "PerformedProcedureStepDiscontinuationReasonCodeSequence",
    ]:
        assert keyword in dataset, keyword
    (scheduled,) = dataset.ScheduledStepAttributesSequence
    assert scheduled.StudyInstanceUID == "1.2.3" and scheduled.AccessionNumber == "A17"
    assert scheduled.ScheduledProtocolCodeSequence[0].CodeValue == "T1"
    assert scheduled.RequestedProcedureID == dataset.StudyID == "RP1"
    assert scheduled.ReferencedStudySequence[0].ReferencedSOPInstanceUID == "1.2.9"
    assert dataset.PerformedProcedureStepStatus == "IN PROGRESS"
    assert (dataset.PerformedStationAETitle, dataset.Modality) == ("GANTRY", "ES")


def test_objects_and_step_name_the_same_request(tmp_path):
    read = pydicom.dcmread(made(tmp_path, ENTRY))
    step = as_dataset(performed_step_attributes(ENTRY, STEP, study_instance_uid="1.2.55"))
    (request,), (scheduled,) = (
        read.RequestAttributesSequence,
        step.ScheduledStepAttributesSequence,
    )
    for keyword in ("ScheduledProcedureStepID", "RequestedProcedureID", "StudyInstanceUID"):
        assert request[keyword].value == scheduled[keyword].value
    for keyword in ("PerformedProcedureStepID", "PerformedProcedureStepStartDate", "StudyID"):
        assert read[keyword].value == step[keyword].value


def test_a_group_case_names_each_request_and_leaves_out_what_differs(tmp_path):
    other = {**ENTRY, "AccessionNumber": "A18", "RequestedProcedureID": "RP2"}
    read = pydicom.dcmread(made(tmp_path, [ENTRY, other]))
    assert [item.RequestedProcedureID for item in read.RequestAttributesSequence] == ["RP1", "RP2"]
    assert not read.AccessionNumber and not read.StudyID and read.StudyInstanceUID == "1.2.3"
    assert read.PatientID == "P-1"
    step = performed_step_attributes([ENTRY, other], STEP, study_instance_uid="1.2.55")
    numbers = [item["AccessionNumber"] for item in step["ScheduledStepAttributesSequence"]]
    assert numbers == ["A17", "A18"] and step["StudyID"] == ""


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.entry)
def test_each_path_is_made_of_keywords_and_leads_somewhere(row):
    assert row.objects or row.performed
    for path in (row.entry, *row.objects, *row.performed):
        assert path.count("/") <= 1
        assert all(tag_for_keyword(keyword) for keyword in path.split("/"))


def test_a_template_with_a_key_that_there_is_not_is_refused():
    assert device_of(TEMPLATE).software_versions == ("1", "2")
    with pytest.raises(ConfigurationError, match="body_parts"):
        device_of({"body_parts": "X"})
    with pytest.raises(LocalError):
        description_from_worklist(
            {},
            {"attributes": {"NoKeyword": 1}},
            study_instance_uid="1.2",
            series_instance_uid="1.3",
        )


@pytest.mark.parametrize("missing", ["modality", "station_ae_title"])
def test_a_step_without_station_or_modality_is_refused(missing):
    bare = dataclasses.replace(STEP, **{missing: ""})
    with pytest.raises(LocalError, match="needs"):
        performed_step_attributes({}, bare, study_instance_uid="1.2")


def test_the_performing_station_is_not_the_scheduled_one():
    step = performed_step_attributes(ENTRY, STEP, study_instance_uid="1.2")
    assert step["PerformedStationAETitle"] == "GANTRY" and step["PerformedStationName"] == ""


def test_without_a_step_nothing_is_said_of_one(tmp_path):
    read = pydicom.dcmread(made(tmp_path, ENTRY, performed=None))
    for keyword in ("PerformedProcedureStepID", "ReferencedPerformedProcedureStepSequence"):
        assert keyword not in read
    bare = dataclasses.replace(STEP, sop_instance_uid="", description="Done otherwise")
    read = pydicom.dcmread(made(tmp_path, ENTRY, performed=bare))
    assert "ReferencedPerformedProcedureStepSequence" not in read
    assert read.PerformedProcedureStepDescription == "Done otherwise"


def test_the_resident_process_maps_an_entry_without_the_dictionary_of_pydicom():
    program = (
        "import json, sys\n"
        "from agent.objects.description import Moment\n"
        "from agent.objects.request_attributes import *\n"
        "entry = json.loads(sys.argv[1])\n"
        "started = Moment('20250102', '130000')\n"
        "step = PerformedStep('1', started, '1.2', station_ae_title='GANTRY')\n"
        "description_from_worklist(entry, {'manufacturer': 'Acme'}, study_instance_uid='1.2',\n"
        "    series_instance_uid='1.3', performed=step)\n"
        "performed_step_attributes(entry, step, study_instance_uid='1.2')\n"
        "assert not {'numpy', 'pydicom', 'ssl', 'sqlite3'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program, json.dumps(ENTRY)], check=True)
