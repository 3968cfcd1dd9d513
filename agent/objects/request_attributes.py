"""Where each attribute of a worklist entry goes: into the objects, and into the performed step.

The one table is `ROWS`, after PS3.17 annex J and IHE Scheduled Workflow (RAD TF-2 appendix A). An
entry is a plain mapping by keyword, nested as the worklist answers it; an unscheduled examination
has an entry of what is known of the patient, or an empty one. Several entries make a group case:
one performed step and one set of images for several requested procedures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from agent.dataset.sop_classes import MODALITY_PERFORMED_PROCEDURE_STEP
from agent.errors import LocalError
from agent.objects.description import (
    ExaminationIdentity,
    Moment,
    PatientIdentity,
    SeriesIdentity,
    StudyIdentity,
)
from agent.objects.device_template import attributes_of, character_set_of, series_of
from agent.objects.element import Element
from agent.objects.given import elements_of

Entry = Mapping[str, object]

SCHEDULED_STEP = "ScheduledProcedureStepSequence"
_REQUEST = "RequestAttributesSequence"
_SCHEDULED = "ScheduledStepAttributesSequence"


class Row(NamedTuple):
    """One attribute: where in the entry, where in the objects, where in the performed step.

    A path has `/` between a sequence and what stands in its item. The sequences of the request
    have an item for each entry; whatever stands elsewhere must agree among the entries of a group
    case, else it is left empty.
    """

    entry: str
    objects: tuple[str, ...] = ()
    performed: tuple[str, ...] = ()


def _same(keyword: str) -> Row:
    return Row(keyword, (keyword,), (keyword,))


def _request(keyword: str, *more: str, performed: tuple[str, ...] = ()) -> Row:
    return Row(keyword, (f"{_REQUEST}/{keyword}", *more), (f"{_SCHEDULED}/{keyword}", *performed))


def _step(keyword: str, *more: str, performed: tuple[str, ...] = ()) -> Row:
    return _request(keyword, *more, performed=performed)._replace(
        entry=f"{SCHEDULED_STEP}/{keyword}"
    )


ROWS = (
    # Patient: identical everywhere.
    _same("PatientName"),
    _same("PatientID"),
    _same("IssuerOfPatientID"),
    _same("PatientBirthDate"),
    _same("PatientSex"),
    _same("OtherPatientIDsSequence"),
    Row(
        "ReferencedPatientSequence", ("ReferencedPatientSequence",), ("ReferencedPatientSequence",)
    ),
    Row("PatientAge", ("PatientAge",)),
    Row("PatientSize", ("PatientSize",)),
    Row("PatientWeight", ("PatientWeight",)),
    Row("PatientComments", ("PatientComments",)),
    Row("MedicalAlerts", ("MedicalAlerts",)),
    Row("Allergies", ("Allergies",)),
    Row("EthnicGroup", ("EthnicGroup",)),
    Row("PregnancyStatus", ("PregnancyStatus",)),
    Row("AdditionalPatientHistory", ("AdditionalPatientHistory",)),
    Row("AdmissionID", ("AdmissionID",)),
    # Imaging service request.
    Row(
        "AccessionNumber",
        ("AccessionNumber", f"{_REQUEST}/AccessionNumber"),
        (f"{_SCHEDULED}/AccessionNumber",),
    ),
    Row(
        "IssuerOfAccessionNumberSequence",
        ("IssuerOfAccessionNumberSequence", f"{_REQUEST}/IssuerOfAccessionNumberSequence"),
        (f"{_SCHEDULED}/IssuerOfAccessionNumberSequence",),
    ),
    Row("ReferringPhysicianName", ("ReferringPhysicianName",)),
    Row("RequestingPhysician", ("RequestingPhysician",)),
    Row("RequestingService", ("RequestingService",)),
    Row(
        "PlacerOrderNumberImagingServiceRequest",
        (),
        (f"{_SCHEDULED}/PlacerOrderNumberImagingServiceRequest",),
    ),
    Row("OrderPlacerIdentifierSequence", (), (f"{_SCHEDULED}/OrderPlacerIdentifierSequence",)),
    Row("OrderFillerIdentifierSequence", (), (f"{_SCHEDULED}/OrderFillerIdentifierSequence",)),
    Row(
        "FillerOrderNumberImagingServiceRequest",
        (),
        (f"{_SCHEDULED}/FillerOrderNumberImagingServiceRequest",),
    ),
    # Requested procedure. Study ID is the Requested Procedure ID (IHE RAD TF-2 A.1).
    Row(
        "StudyInstanceUID",
        ("StudyInstanceUID", f"{_REQUEST}/StudyInstanceUID"),
        (f"{_SCHEDULED}/StudyInstanceUID",),
    ),
    Row(
        "ReferencedStudySequence",
        ("ReferencedStudySequence", f"{_REQUEST}/ReferencedStudySequence"),
        (f"{_SCHEDULED}/ReferencedStudySequence",),
    ),
    _request("RequestedProcedureID", "StudyID", performed=("StudyID",)),
    _request("RequestedProcedureDescription", "StudyDescription"),
    # What was asked for counts as what was done until an operator says otherwise.
    _request(
        "RequestedProcedureCodeSequence",
        "ProcedureCodeSequence",
        performed=("ProcedureCodeSequence",),
    ),
    Row("ReasonForTheRequestedProcedure", (f"{_REQUEST}/ReasonForTheRequestedProcedure",)),
    Row(
        "ReasonForRequestedProcedureCodeSequence",
        (f"{_REQUEST}/ReasonForRequestedProcedureCodeSequence",),
    ),
    # Scheduled procedure step.
    _step("ScheduledProcedureStepID"),
    _step(
        "ScheduledProcedureStepDescription",
        "PerformedProcedureStepDescription",
        performed=("PerformedProcedureStepDescription",),
    ),
    _step(
        "ScheduledProtocolCodeSequence",
        "PerformedProtocolCodeSequence",
        performed=("PerformedProtocolCodeSequence",),
    ),
    Row(f"{SCHEDULED_STEP}/ScheduledPerformingPhysicianName", ("PerformingPhysicianName",)),
    Row(f"{SCHEDULED_STEP}/Modality", (), ("Modality",)),
    Row(f"{SCHEDULED_STEP}/ScheduledProcedureStepLocation", (), ("PerformedLocation",)),
)

# PS3.4 Table F.7.2-1, N-CREATE: what must be there, empty where nothing is known.
_CREATED_EMPTY: Mapping[str, object] = {
    "PatientName": "",
    "PatientID": "",
    "PatientBirthDate": "",
    "PatientSex": "",
    "ReferencedPatientSequence": [],
    "PerformedStationName": "",
    "PerformedLocation": "",
    "PerformedProcedureStepDescription": "",
    "PerformedProcedureTypeDescription": "",
    "ProcedureCodeSequence": [],
    "PerformedProcedureStepEndDate": "",
    "PerformedProcedureStepEndTime": "",
    "PerformedProcedureStepDiscontinuationReasonCodeSequence": [],
    "StudyID": "",
    "PerformedProtocolCodeSequence": [],
    "PerformedSeriesSequence": [],
}
_SCHEDULED_EMPTY: Mapping[str, object] = {
    "ReferencedStudySequence": [],
    "AccessionNumber": "",
    "RequestedProcedureID": "",
    "RequestedProcedureDescription": "",
    "ScheduledProcedureStepID": "",
    "ScheduledProcedureStepDescription": "",
    "ScheduledProtocolCodeSequence": [],
}

# What has a field of its own in the description; all else goes along as it is.
_PATIENT_FIELDS = {
    "PatientName": "name",
    "PatientID": "identifier",
    "IssuerOfPatientID": "issuer_of_identifier",
    "PatientBirthDate": "birth_date",
    "PatientSex": "sex",
    "PatientComments": "comments",
    "PatientAge": "age",
    "PatientSize": "size",
    "PatientWeight": "weight",
}
_STUDY_FIELDS = {
    "StudyID": "identifier",
    "AccessionNumber": "accession_number",
    "ReferringPhysicianName": "referring_physician_name",
    "StudyDescription": "description",
}
_SERIES_FIELDS = {
    "PerformingPhysicianName": "performing_physician_name",
    "PerformedProcedureStepDescription": "performed_procedure_step_description",
}


@dataclass(frozen=True, slots=True)
class PerformedStep:
    """The performed procedure step that the objects belong to.

    `sop_instance_uid` is that of the MPPS instance, "" where none is reported; the rest are its
    attributes. The station is the one that performs, whichever was scheduled; a description or
    modality that is "" comes from the worklist entry.
    """

    identifier: str
    started: Moment
    sop_instance_uid: str = ""
    description: str = ""
    station_ae_title: str = ""
    station_name: str = ""
    modality: str = ""


def description_from_worklist(
    entry: Entry | Sequence[Entry],
    template: Mapping[str, object],
    *,
    study_instance_uid: str,
    series_instance_uid: str,
    series_number: int | None = None,
    performed: PerformedStep | None = None,
) -> ExaminationIdentity:
    """What all objects of a series have in common.

    `study_instance_uid` is used where the entry has none (an unscheduled examination) and where
    the entries of a group differ. `template` is that of `agent.objects.device_template`, whose
    attributes win. Raises LocalError for a keyword that is none and a value that does not fit,
    ConfigurationError for a template with a key that it cannot have.
    """
    values = attributes_of_objects(entry)
    patient = {_PATIENT_FIELDS[key]: _taken(values, key) for key in _PATIENT_FIELDS}
    for name in ("size", "weight"):
        patient[name] = _number(patient[name])
    study = {_STUDY_FIELDS[key]: _text(_taken(values, key)) for key in _STUDY_FIELDS}
    uid = _text(values.pop("StudyInstanceUID", None)) or study_instance_uid
    series = series_of(template, series_instance_uid, series_number)
    for key, name in _SERIES_FIELDS.items():
        value = _text(_taken(values, key))
        if value and getattr(series, name) is None:
            series = replace(series, **{name: value})  # type: ignore[arg-type]
    return ExaminationIdentity(
        PatientIdentity(**patient),  # type: ignore[arg-type]
        _of_performed_study(StudyIdentity(uid, **study), performed),
        _of_performed(series, performed),
        {**elements_of(values), **_reference(performed), **attributes_of(template)},
        character_set_of(template),
    )


def attributes_of_objects(entry: Entry | Sequence[Entry]) -> dict[str, object]:
    """What the objects say of patient and order, by keyword; what is empty is left out."""
    values = _placed(_entries(entry), [(row.entry, row.objects) for row in ROWS])
    if not any(item.get("RequestedProcedureID") for item in _items(values, _REQUEST)):
        # Nobody asked for it: there is no request to name (PS3.3 Table 10-9: type 1C).
        values.pop(_REQUEST, None)
    return values


def performed_step_attributes(
    entry: Entry | Sequence[Entry], performed: PerformedStep, *, study_instance_uid: str
) -> dict[str, object]:
    """The attributes of the N-CREATE that starts the step, by keyword (PS3.4 Table F.7.2-1).

    `study_instance_uid` as in `description_from_worklist`: both must be told the same. Raises
    LocalError without a performing station's AE title, or a modality here or in the entry.
    """
    entries = _entries(entry)
    values = _placed(entries, [(row.entry, row.performed) for row in ROWS])
    scheduled = _items(values, _SCHEDULED) or [{}]
    made: dict[str, object] = {**_CREATED_EMPTY, **values}
    made[_SCHEDULED] = [
        {"StudyInstanceUID": study_instance_uid, **_SCHEDULED_EMPTY, **item} for item in scheduled
    ]
    made["PerformedProcedureStepStatus"] = "IN PROGRESS"
    made["PerformedProcedureStepID"] = performed.identifier
    made["PerformedProcedureStepStartDate"] = performed.started.date
    made["PerformedProcedureStepStartTime"] = performed.started.time
    told = {
        "PerformedProcedureStepDescription": performed.description,
        "PerformedStationAETitle": performed.station_ae_title,
        "PerformedStationName": performed.station_name,
        "Modality": performed.modality,
    }
    made.update({keyword: value for keyword, value in told.items() if value})
    for keyword in ("PerformedStationAETitle", "Modality"):
        if not made.get(keyword):
            raise LocalError(
                f"A performed step needs {keyword}.", clause="PS3.4 F.7.2.1.1", value=keyword
            )
    return made


def _entries(entry: Entry | Sequence[Entry]) -> list[Entry]:
    return [entry] if isinstance(entry, Mapping) else list(entry)


def _placed(
    entries: Sequence[Entry], rows: Sequence[tuple[str, tuple[str, ...]]]
) -> dict[str, object]:
    """The values of the entries at their targets; empty ones are left out."""
    made: dict[str, object] = {}
    for source, targets in rows:
        found = [_found(entry, source) for entry in entries]
        for target in targets:
            sequence, _, keyword = target.rpartition("/")
            if sequence:
                items = made.setdefault(sequence, [{} for _ in entries])
                assert isinstance(items, list)
                for item, value in zip(items, found, strict=True):
                    if not _is_empty(value):
                        item[keyword] = value
            elif found and not _is_empty(found[0]) and all(each == found[0] for each in found):
                made[keyword] = found[0]
    return made


def _found(entry: Entry, path: str) -> object:
    sequence, _, keyword = path.rpartition("/")
    if not sequence:
        return entry.get(keyword)
    return next((item.get(keyword) for item in _items(entry, sequence)), None)


def _items(values: Mapping[str, object], keyword: str) -> list[Mapping[str, object]]:
    items = values.get(keyword)
    if isinstance(items, Mapping):
        return [items]
    if isinstance(items, (list, tuple)):
        return [item for item in items if isinstance(item, Mapping)]
    return []


def _is_empty(value: object) -> bool:
    return value is None or value == "" or value == [] or value == ()


def _taken(values: dict[str, object], keyword: str) -> object:
    return values.pop(keyword, None)


def _text(value: object) -> str | None:
    return None if _is_empty(value) else str(value)


def _number(value: object) -> float | None:
    try:
        return None if _is_empty(value) else float(str(value))
    except ValueError:
        return None


def _of_performed(series: SeriesIdentity, performed: PerformedStep | None) -> SeriesIdentity:
    if performed is None:
        return replace(series, performed_procedure_step_description=None)
    return replace(
        series,
        modality=series.modality or performed.modality or None,
        performed_procedure_step_id=performed.identifier,
        performed_procedure_step_start_date=performed.started.date,
        performed_procedure_step_start_time=performed.started.time,
        performed_procedure_step_description=performed.description
        or series.performed_procedure_step_description,
    )


def _of_performed_study(study: StudyIdentity, performed: PerformedStep | None) -> StudyIdentity:
    # IHE RAD TF-2 A.1: the study starts when its first step does.
    if performed is None:
        return study
    return replace(study, date=performed.started.date, time=performed.started.time)


def _reference(performed: PerformedStep | None) -> dict[int, Element]:
    if performed is None or not performed.sop_instance_uid:
        return {}
    return dict(
        elements_of(
            {
                "ReferencedPerformedProcedureStepSequence": {
                    "ReferencedSOPClassUID": MODALITY_PERFORMED_PROCEDURE_STEP,
                    "ReferencedSOPInstanceUID": performed.sop_instance_uid,
                }
            }
        )
    )
