"""From the worklist to the performed step and its objects (PS3.17 Annex J, IHE Scheduled Workflow).

One table says where each attribute of a worklist entry goes: into the Scheduled Step Attributes of
the step that is reported, and into the Request Attributes of the objects.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from agent.archive.records import Instance
from agent.configuration.intake import Capture
from agent.configuration.procedure import Steps
from agent.dataset import tags
from agent.dataset.attributes import Attributes, tag_of
from agent.dataset.attributes_encoding import with_character_set
from agent.dataset.sop_classes import MODALITY_PERFORMED_PROCEDURE_STEP
from agent.objects.description import (
    ExaminationIdentity,
    PatientIdentity,
    SeriesIdentity,
    StudyIdentity,
)
from agent.objects.given import elements_of
from agent.services.performed_procedure_step import DISCONTINUED, IN_PROGRESS, STATUS
from agent.workflow.examination_record import ExaminationRecord, PerformedSeries, PerformedStep

SPS = "ScheduledProcedureStepSequence"

# (keyword in the entry, whether it lies in its scheduled step, in Scheduled Step Attributes of the
# step, in Request Attributes of an object)
_ORDER: tuple[tuple[str, bool, bool, bool], ...] = (
    ("StudyInstanceUID", False, True, False),
    ("ReferencedStudySequence", False, True, False),
    ("AccessionNumber", False, True, True),
    ("IssuerOfAccessionNumberSequence", False, True, True),
    ("PlacerOrderNumberImagingServiceRequest", False, True, False),
    ("OrderPlacerIdentifierSequence", False, True, False),
    ("FillerOrderNumberImagingServiceRequest", False, True, False),
    ("OrderFillerIdentifierSequence", False, True, False),
    ("RequestedProcedureID", False, True, True),
    ("RequestedProcedureDescription", False, True, True),
    ("RequestedProcedureCodeSequence", False, True, True),
    ("ReasonForTheRequestedProcedure", False, False, True),
    ("ReasonForRequestedProcedureCodeSequence", False, False, True),
    ("ScheduledProcedureStepID", True, True, True),
    ("ScheduledProcedureStepDescription", True, True, True),
    ("ScheduledProtocolCodeSequence", True, True, True),
)

_PATIENT = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "OtherPatientIDsSequence",
    "ReferencedPatientSequence",
    "AdmissionID",
)

_NON_IMAGE = (
    "1.2.840.10008.5.1.4.1.1.9.",
    "1.2.840.10008.5.1.4.1.1.88.",
    "1.2.840.10008.5.1.4.1.1.104.",
    "1.2.840.10008.5.1.4.1.1.11.",
    "1.2.840.10008.5.1.4.1.1.66",
)
"""Waveforms, structured reports, encapsulated documents, presentation states and raw data."""

# PS3.16 CID 9300.
DISCONTINUATION_REASONS: dict[str, str] = {
    "110500": "Doctor canceled procedure",
    "110501": "Equipment failure",
    "110502": "Incorrect procedure ordered",
    "110503": "Patient allergic to media/contrast",
    "110504": "Patient died",
    "110505": "Patient refused to continue procedure",
    "110506": "Patient taken for treatment or surgery",
    "110507": "Patient did not arrive",
    "110508": "Patient pregnant",
    "110509": "Change of procedure for correct charging",
    "110510": "Duplicate order",
    "110511": "Nursing unit cancel",
    "110512": "Incorrect side ordered",
    "110513": "Discontinued for unspecified reason",
    "110514": "Incorrect worklist entry selected",
    "110515": "Patient condition prevented continuing",
    "110516": "Equipment change",
}


def step_begun(
    record: ExaminationRecord, device: Capture, station_title: str, station_name: str, table: Steps
) -> Attributes:
    """What N-CREATE says (Table F.7.2-1): everything of type 1, the rest as far as it is known."""
    step = record.step
    made = Attributes()
    scheduled = [_pick(entry, in_step=True) for entry in record.entries]
    if not scheduled:
        scheduled = [Attributes(StudyInstanceUID=record.study_instance_uid)]
        for keyword in ("AccessionNumber", "RequestedProcedureID"):
            if record.patient.has(keyword):
                scheduled[0].set(keyword, record.patient.text(keyword))
    made.set("ScheduledStepAttributesSequence", scheduled)
    for keyword in _PATIENT:
        source = next((s for s in (*record.entries[:1], record.patient) if s.has(keyword)), None)
        if source is not None:
            made.put(tag_of(keyword), source[keyword])
    date, clock = _date_and_time(step.begun)
    made.set("PerformedProcedureStepID", step.identifier)
    made.set("PerformedStationAETitle", station_title)
    made.set("PerformedStationName", station_name)
    made.set("PerformedLocation", table.location)
    made.set("PerformedProcedureStepStartDate", date)
    made.set("PerformedProcedureStepStartTime", clock)
    made.set(STATUS, IN_PROGRESS)
    made.set("PerformedProcedureStepDescription", description_of(record))
    made.set("PerformedProcedureTypeDescription", record.about("RequestedProcedureDescription"))
    made.set("Modality", device.modality)
    made.set("StudyID", study_identifier(record))
    if record.entries:
        first = record.entries[0]
        made.set("ProcedureCodeSequence", first.items_of("RequestedProcedureCodeSequence"))
        codes = first.item_of(SPS).items_of("ScheduledProtocolCodeSequence")
        made.set("PerformedProtocolCodeSequence", codes)
    return with_character_set(made, _character_set(record))


def step_ended(
    record: ExaminationRecord,
    instances: Sequence[Instance],
    device: Capture,
    retrieve_title: str,
) -> Attributes:
    """What the final N-SET says: how it ended, and every object that is stored (F.7.2.2.2)."""
    step = record.step
    date, clock = _date_and_time(step.ended)
    made = Attributes()
    made.set(STATUS, step.status)
    made.set("PerformedProcedureStepEndDate", date)
    made.set("PerformedProcedureStepEndTime", clock)
    if step.status == DISCONTINUED:
        made.set(
            "PerformedProcedureStepDiscontinuationReasonCodeSequence",
            [_code(step.reason, DISCONTINUATION_REASONS.get(step.reason, ""))],
        )
    made.set(
        "PerformedSeriesSequence",
        [
            _series(record, series, instances, device, retrieve_title)
            # F.7.2-1: there is a series even where nothing was made.
            for series in step.series
        ],
    )
    return with_character_set(made, _character_set(record))


def _series(
    record: ExaminationRecord,
    series: PerformedSeries,
    instances: Iterable[Instance],
    device: Capture,
    retrieve_title: str,
) -> Attributes:
    mine = [each for each in instances if each.series_instance_uid == series.uid]
    images: list[Attributes] = []
    others: list[Attributes] = []
    for each in mine:
        reference = Attributes(
            ReferencedSOPClassUID=each.sop_class_uid,
            ReferencedSOPInstanceUID=each.sop_instance_uid,
        )
        (others if each.sop_class_uid.startswith(_NON_IMAGE) else images).append(reference)
    made = Attributes()
    made.set("SeriesInstanceUID", series.uid)
    made.set("SeriesDescription", series.description)
    made.set("ProtocolName", series.protocol)
    made.set("PerformingPhysicianName", _performing(record))
    made.set("OperatorsName", record.operator)
    made.set("RetrieveAETitle", retrieve_title)
    made.set("ReferencedImageSequence", images)
    made.set("ReferencedNonImageCompositeSOPInstanceSequence", others)
    return made


def identity_of(
    record: ExaminationRecord, series: PerformedSeries, device: Capture
) -> ExaminationIdentity:
    """What all objects of a series say of patient, study, series and order."""
    step = record.step
    date, clock = _date_and_time(record.begun)
    step_date, step_clock = _date_and_time(step.begun)
    additional: dict[str, object] = dict(device.template)
    if record.entries:
        additional["RequestAttributesSequence"] = [
            plain(_pick(entry, in_step=False)) for entry in record.entries
        ]
        first = record.entries[0]
        for keyword in ("ReferencedStudySequence", "RequestedProcedureCodeSequence"):
            found = first.get(keyword)
            if found is not None and found.values:
                into = "ProcedureCodeSequence" if "Code" in keyword else keyword
                additional[into] = plain(first)[keyword]
    additional["ReferencedPerformedProcedureStepSequence"] = [
        {
            "ReferencedSOPClassUID": MODALITY_PERFORMED_PROCEDURE_STEP,
            "ReferencedSOPInstanceUID": step.uid,
        }
    ]
    return ExaminationIdentity(
        PatientIdentity(
            name=record.about("PatientName") or None,
            identifier=record.about("PatientID") or None,
            issuer_of_identifier=record.about("IssuerOfPatientID") or None,
            birth_date=record.about("PatientBirthDate") or None,
            sex=record.about("PatientSex") or None,
        ),
        StudyIdentity(
            record.study_instance_uid,
            date=date,
            time=clock,
            identifier=study_identifier(record) or None,
            accession_number=_accession_number(record) or None,
            referring_physician_name=record.about("ReferringPhysicianName") or None,
            description=record.about("RequestedProcedureDescription") or None,
        ),
        SeriesIdentity(
            series.uid,
            number=series.number,
            modality=device.modality,
            description=series.description or None,
            protocol_name=series.protocol or None,
            operators_name=record.operator or None,
            performing_physician_name=_performing(record) or None,
            performed_procedure_step_id=step.identifier,
            performed_procedure_step_start_date=step_date,
            performed_procedure_step_start_time=step_clock,
            performed_procedure_step_description=description_of(record) or None,
        ),
        elements_of(additional),
    )


def plain(attributes: Attributes) -> dict[str, object]:
    """Attributes as nested mappings by keyword; what PS3.6 does not know is left out."""
    made: dict[str, object] = {}
    for tag in attributes:
        keyword = tags.keyword_of(tag)
        vr, values = attributes[tag]
        if not keyword or tag == tags.SPECIFIC_CHARACTER_SET:
            continue
        if vr == "SQ":
            made[keyword] = [plain(item) for item in attributes.items_of(tag)]
        else:
            made[keyword] = values[0] if len(values) == 1 else list(values)
    return made


def description_of(record: ExaminationRecord) -> str:
    """What is done: as scheduled, else as requested."""
    for entry in record.entries:
        found = entry.item_of(SPS).text("ScheduledProcedureStepDescription")
        if found:
            return found
    return record.about("RequestedProcedureDescription")


def study_identifier(record: ExaminationRecord) -> str:
    """Study ID: the Requested Procedure ID where there is one (PS3.17 J)."""
    return record.about("RequestedProcedureID")[:16]


def new_step(uid: str, begun: float) -> PerformedStep:
    """A step that begins now; its identifier tells the time, is the box's own and fits SH."""
    stamp = time.strftime("%y%m%d%H%M%S", time.localtime(begun))
    return PerformedStep(uid, f"{stamp}{uid[-3:]:0>3}".replace(".", "0"), begun)


def _pick(entry: Attributes, *, in_step: bool) -> Attributes:
    made = Attributes()
    scheduled = entry.item_of(SPS)
    for keyword, of_scheduled, into_step, into_object in _ORDER:
        found = (scheduled if of_scheduled else entry).get(keyword)
        if found is not None and found.values and (into_step if in_step else into_object):
            made.put(tag_of(keyword), found)
    return made


def _accession_number(record: ExaminationRecord) -> str:
    """Of several orders with different numbers none can stand in the study (PS3.17 J)."""
    numbers = {entry.text("AccessionNumber") for entry in record.entries}
    if len(numbers) > 1:
        return ""
    return record.about("AccessionNumber")


def _performing(record: ExaminationRecord) -> str:
    if record.entries:
        return record.entries[0].item_of(SPS).text("ScheduledPerformingPhysicianName")
    return ""


def _character_set(record: ExaminationRecord) -> str:
    for entry in record.entries:
        if entry.has("SpecificCharacterSet"):
            return "\\".join(entry.texts("SpecificCharacterSet"))
    return ""


def _code(value: str, meaning: str) -> Attributes:
    return Attributes(CodeValue=value, CodingSchemeDesignator="DCM", CodeMeaning=meaning)


def _date_and_time(at: float) -> tuple[str, str]:
    local = time.localtime(at)
    return time.strftime("%Y%m%d", local), time.strftime("%H%M%S", local)
