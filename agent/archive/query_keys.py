"""Which keys a query may have, at which entity they are, and where their values come from.

What the index keeps is matched and returned without a file; other attributes are read from the head
of an object: of the instance itself, or of the first of the series, study or patient. An attribute
that is at no level of the query is an optional key that we do not support (PS3.4 C.2.2.1.3).
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import NamedTuple

from agent.archive.information_model import InformationModel
from agent.archive.matching_rules import Combination, MatchingRules
from agent.dataset import tags

PATIENT, STUDY, SERIES, INSTANCE = range(4)
"""The tables of the index, from the root down."""

TABLES = ("patient", "study", "series", "instance")
LEVELS = ("PATIENT", "STUDY", "SERIES", "IMAGE")
"""The level at which the entities of a table are, where a model has that level."""

UNIQUE = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


class Column(NamedTuple):
    """What the index keeps of an attribute: an expression of SQL over its table's row.

    `text` says that it is bytes in the character set of the row.
    """

    tag: int
    vr: str
    table: int
    expression: str
    text: bool


RECORD_KEY = 0x0008041B


def record_key(table: int) -> Column:
    """The Record Key of the entities of a table: their row and their UID (PS3.4 C.6.4.1.1)."""
    name = TABLES[table]
    uid = "sop_instance_uid" if table == INSTANCE else f"{name}_instance_uid"
    return Column(RECORD_KEY, "OB", table, f"{name}.id || ':' || {uid}", False)


_MODALITIES = (
    "(SELECT group_concat(modality, '\\') FROM (SELECT DISTINCT modality FROM series"
    " WHERE series.study = study.id AND modality <> '' ORDER BY modality))"
)
_SOP_CLASSES = (
    "(SELECT group_concat(sop_class_uid, '\\') FROM (SELECT DISTINCT sop_class_uid FROM instance"
    " WHERE instance.study = study.id ORDER BY sop_class_uid))"
)
_UPDATED = "strftime('%Y%m%d%H%M%S', study.changed, 'unixepoch') || '+0000'"

_ROWS: tuple[tuple[int, str, str], ...] = (
    (PATIENT, "PatientID", "patient_id"),
    (PATIENT, "IssuerOfPatientID", "issuer_of_patient_id"),
    (PATIENT, "PatientName", "patient_name"),
    (PATIENT, "PatientBirthDate", "birth_date"),
    (PATIENT, "PatientSex", "sex"),
    (PATIENT, "NumberOfPatientRelatedStudies", "patient.studies"),
    (
        PATIENT,
        "NumberOfPatientRelatedSeries",
        "(SELECT sum(series) FROM study WHERE study.patient = patient.id)",
    ),
    (
        PATIENT,
        "NumberOfPatientRelatedInstances",
        "(SELECT sum(instances) FROM study WHERE study.patient = patient.id)",
    ),
    (STUDY, "StudyInstanceUID", "study_instance_uid"),
    (STUDY, "StudyDate", "study_date"),
    (STUDY, "StudyTime", "study_time"),
    (STUDY, "AccessionNumber", "accession_number"),
    (STUDY, "StudyID", "study_id"),
    (STUDY, "StudyDescription", "study_description"),
    (STUDY, "ReferringPhysicianName", "referring_physician_name"),
    (STUDY, "NumberOfStudyRelatedSeries", "study.series"),
    (STUDY, "NumberOfStudyRelatedInstances", "study.instances"),
    (STUDY, "ModalitiesInStudy", _MODALITIES),
    (STUDY, "SOPClassesInStudy", _SOP_CLASSES),
    (STUDY, "StudyUpdateDateTime", _UPDATED),
    (SERIES, "SeriesInstanceUID", "series_instance_uid"),
    (SERIES, "Modality", "modality"),
    (SERIES, "SeriesNumber", "series_number"),
    (SERIES, "SeriesDate", "series_date"),
    (SERIES, "SeriesTime", "series_time"),
    (SERIES, "SeriesDescription", "series_description"),
    (SERIES, "BodyPartExamined", "body_part_examined"),
    (SERIES, "NumberOfSeriesRelatedInstances", "series.instances"),
    (INSTANCE, "SOPInstanceUID", "sop_instance_uid"),
    (INSTANCE, "SOPClassUID", "sop_class_uid"),
    (INSTANCE, "InstanceNumber", "instance_number"),
    (INSTANCE, "NumberOfFrames", "number_of_frames"),
    (INSTANCE, "ContentDate", "content_date"),
    (INSTANCE, "ContentTime", "content_time"),
    (INSTANCE, "AvailableTransferSyntaxUID", "transfer_syntax_uid"),
)

_BYTES = frozenset(
    (
        "patient_id",
        "issuer_of_patient_id",
        "patient_name",
        "accession_number",
        "study_id",
        "study_description",
        "referring_physician_name",
        "series_description",
    )
)

# Of the modules of each entity (PS3.3 C.7.1 to C.7.3, Tables C.6-1, C.6-2 and C.6-5 of PS3.4).
_READ: Mapping[int, str] = {
    PATIENT: (
        "ReferencedPatientSequence PatientBirthTime OtherPatientIDs OtherPatientIDsSequence"
        " OtherPatientNames EthnicGroup PatientComments PatientBirthName PatientMotherBirthName"
        " TypeOfPatientID IssuerOfPatientIDQualifiersSequence PatientAddress"
        " PatientTelephoneNumbers"
    ),
    STUDY: (
        "AnatomicRegionsInStudyCodeSequence ProcedureCodeSequence NameOfPhysiciansReadingStudy"
        " AdmittingDiagnosesDescription AdmittingDiagnosesCodeSequence ReferencedStudySequence"
        " PatientAge PatientSize PatientWeight Occupation AdditionalPatientHistory"
        " OtherStudyNumbers PhysiciansOfRecord RequestingService RequestingPhysician"
        " IssuerOfAccessionNumberSequence StudyComments MedicalAlerts Allergies PregnancyStatus"
        " AdmissionID IssuerOfAdmissionID IssuerOfAdmissionIDSequence ReasonForStudy"
        " StudyArrivalDate StudyArrivalTime ConsultingPhysicianName"
        " ReferringPhysicianIdentificationSequence"
    ),
    SERIES: (
        "InstitutionName InstitutionAddress InstitutionalDepartmentName StationName Manufacturer"
        " ManufacturerModelName DeviceSerialNumber SoftwareVersions PerformingPhysicianName"
        " OperatorsName ProtocolName Laterality PatientPosition SeriesDescriptionCodeSequence"
        " ReferencedPerformedProcedureStepSequence RequestAttributesSequence"
        " PerformedProcedureStepID PerformedProcedureStepStartDate"
        " PerformedProcedureStepStartTime PerformedProcedureStepEndDate"
        " PerformedProcedureStepEndTime PerformedProcedureStepDescription"
        " PerformedProtocolCodeSequence CommentsOnThePerformedProcedureStep"
        " FrameOfReferenceUID PositionReferenceIndicator"
    ),
}

DATE_TIMES: tuple[tuple[str, str], ...] = (
    ("StudyDate", "StudyTime"),
    ("SeriesDate", "SeriesTime"),
    ("AcquisitionDate", "AcquisitionTime"),
    ("ContentDate", "ContentTime"),
    ("InstanceCreationDate", "InstanceCreationTime"),
    ("PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime"),
    ("PerformedProcedureStepEndDate", "PerformedProcedureStepEndTime"),
    ("StudyArrivalDate", "StudyArrivalTime"),
)
"""Dates with their times, which may be one moment (C.2.2.2.5.4)."""

ALWAYS_ANSWERED = frozenset(
    tags.from_text(each)
    for each in (
        "RetrieveAETitle",
        "InstanceAvailability",
        "StorageMediaFileSetID",
        "StorageMediaFileSetUID",
    )
)
"""What a response says of where the objects are, whatever the request says (C.4.1.1.3.2)."""

_NEVER_READ = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "UN"))


@functools.cache
def columns() -> Mapping[int, Column]:
    """What the index has, by tag."""
    found = {}
    for table, keyword, expression in _ROWS:
        tag = tags.from_text(keyword)
        vr = tags.dictionary_value_representation(tag)
        found[tag] = Column(tag, vr, table, expression, expression in _BYTES)
    return MappingProxyType(found)


@functools.cache
def read_from_objects() -> Mapping[int, int]:
    """The table at which an attribute of patients, studies or series is that no column has."""
    return MappingProxyType(
        {tags.from_text(word): table for table, words in _READ.items() for word in words.split()}
    )


def date_times() -> tuple[tuple[int, int], ...]:
    """The tags of `DATE_TIMES`."""
    return tuple((tags.from_text(date), tags.from_text(time)) for date, time in DATE_TIMES)


def agreed_rules(agreed: Collection[str], timezone: int | None) -> MatchingRules:
    """How keys are matched where these mechanisms are agreed on, by the names that
    `agent.configuration.query` has for them; `timezone` is our own offset in minutes."""
    return MatchingRules(
        date_times=date_times(),
        combination=Combination.SAME_FORM if "date_time" in agreed else Combination.NEVER,
        fuzzy_names="fuzzy" in agreed,
        empty_values="empty" in agreed,
        multiple_values="multiple" in agreed,
        timezone=timezone if "timezone" in agreed else None,
    )


def table_of(tag: int, vr: str, table: int) -> int | None:
    """The table of the entity that a key is about, in a query for entities of `table`.

    None for an attribute that we do not support there: private ones, bulk data, and those of an
    image where the query is for something above images.
    """
    column = columns().get(tag)
    if column is not None:
        return column.table
    found = read_from_objects().get(tag)
    if found is None and table == INSTANCE:
        known = not tags.is_private(tag) and tag not in tags.BULK and vr not in _NEVER_READ
        return INSTANCE if known else None
    return found


def level_of(table: int, model: InformationModel) -> int | None:
    """Where a model has the entities of a table: patients of the Study Root are at its STUDY level.

    None for what is below the model's last level.
    """
    depth = model.depth_of(LEVELS[table])
    return 0 if depth is None and table == PATIENT else depth


def keys_at(table: int) -> tuple[str, ...]:
    """The keywords of all keys of a table's entities, for the conformance statement."""
    kept = [keyword for owner, keyword, _ in _ROWS if owner == table]
    return (*kept, *_READ.get(table, "").split())
