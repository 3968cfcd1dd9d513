"""The step of an examination, as it is reported and as its objects name it (PS3.4 F.7).

Where each attribute of a worklist entry goes is the table of `agent.objects.request_attributes`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

from agent.archive.records import Instance
from agent.configuration.intake import Capture
from agent.configuration.procedure import Steps
from agent.dataset import tags
from agent.dataset.attributes import Attributes
from agent.dataset.attributes_encoding import with_character_set
from agent.objects import request_attributes
from agent.objects.description import ExaminationIdentity, Moment
from agent.objects.request_attributes import description_from_worklist, performed_step_attributes
from agent.services.performed_procedure_step import DISCONTINUED, STATUS
from agent.workflow.examination_record import ExaminationRecord, PerformedSeries, PerformedStep

SPS = "ScheduledProcedureStepSequence"

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
    record: ExaminationRecord, modality: str, station_title: str, station_name: str, table: Steps
) -> Attributes:
    """What N-CREATE says (Table F.7.2-1): everything of type 1, the rest as far as it is known."""
    made = Attributes.of(
        performed_step_attributes(
            _entries(record),
            _performed(record, modality, station_title, station_name),
            study_instance_uid=record.study_instance_uid,
        )
    )
    if table.location:
        made.set("PerformedLocation", table.location)
    made.set("PerformedProcedureTypeDescription", record.about("RequestedProcedureDescription"))
    return with_character_set(made, _character_set(record))


def step_ended(
    record: ExaminationRecord, instances: Sequence[Instance], retrieve_title: str
) -> Attributes:
    """What the final N-SET says: how it ended, and every object that is stored (F.7.2.2.2)."""
    step = record.step
    date, clock = _date_and_time(step.ended)
    made = Attributes()
    made.set(STATUS, step.status)
    made.set("PerformedProcedureStepEndDate", date)
    made.set("PerformedProcedureStepEndTime", clock)
    # Who listens for the end alone learns what was done, too.
    made.set("PerformedProcedureStepDescription", description_of(record))
    made.set("PerformedProtocolCodeSequence", _protocol_codes(record))
    if step.status == DISCONTINUED:
        made.set(
            "PerformedProcedureStepDiscontinuationReasonCodeSequence",
            [_code(step.reason, DISCONTINUATION_REASONS.get(step.reason, ""))],
        )
    made.set(
        "PerformedSeriesSequence",
        [
            _series(record, series, instances, retrieve_title)
            # F.7.2-1: there is a series even where nothing was made.
            for series in step.series
        ],
    )
    return with_character_set(made, _character_set(record))


def _protocol_codes(record: ExaminationRecord) -> list[Attributes]:
    """Of all scheduled steps, each once."""
    codes: list[Attributes] = []
    for entry in record.entries:
        for step in entry.items_of(SPS):
            for code in step.items_of("ScheduledProtocolCodeSequence"):
                if code not in codes:
                    codes.append(code)
    return codes


def _series(
    record: ExaminationRecord,
    series: PerformedSeries,
    instances: Iterable[Instance],
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
    """What all objects of a series say of patient, study, series, order and device."""
    template = {"modality": device.modality, **device.template}
    found = description_from_worklist(
        _entries(record),
        template,
        study_instance_uid=record.study_instance_uid,
        series_instance_uid=series.uid,
        series_number=series.number,
        performed=_performed(record, device.modality),
    )
    date, clock = _date_and_time(record.begun)
    return replace(
        found,
        study=replace(found.study, date=date, time=clock),
        series=replace(
            found.series,
            description=series.description or found.series.description,
            protocol_name=series.protocol or found.series.protocol_name,
            operators_name=record.operator or found.series.operators_name,
        ),
    )


def _entries(record: ExaminationRecord) -> list[dict[str, object]]:
    """The worklist entries by keyword; of an unscheduled examination what is known."""
    return [plain(each) for each in record.entries] or [plain(record.patient)]


def _performed(
    record: ExaminationRecord, modality: str, station_title: str = "", station_name: str = ""
) -> request_attributes.PerformedStep:
    step = record.step
    date, clock = _date_and_time(step.begun)
    return request_attributes.PerformedStep(
        step.identifier,
        Moment(date, clock),
        sop_instance_uid=step.uid,
        description=description_of(record),
        station_ae_title=station_title,
        station_name=station_name,
        modality=modality,
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


def new_step(uid: str, begun: float) -> PerformedStep:
    """A step that begins now; its identifier tells the time, is the box's own and fits SH."""
    stamp = time.strftime("%y%m%d%H%M%S", time.localtime(begun))
    return PerformedStep(uid, f"{stamp}{uid[-3:]:0>3}".replace(".", "0"), begun)


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
