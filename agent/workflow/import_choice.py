"""Which studies of a medium are imported, and as whose: never decided where it is not clear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agent.dataset.attributes import Attributes
from agent.errors import LocalError
from agent.quoting import quoted
from agent.workflow.import_survey import FoundStudy, Survey
from agent.workflow.worklist_watch import WorklistWatch


def chosen(found: Survey, root: str, uids: Sequence[str], patient_id: str) -> list[FoundStudy]:
    """The studies that are named, or all of the one patient that the medium is about.

    Raises LocalError where there are none such, or several patients.
    """
    studies = found.studies
    for uid in uids:
        if uid not in {each.uid for each in studies}:
            raise LocalError(f"there is no study {quoted(uid)} on {quoted(root)}", value=uid)
    wanted = [
        each
        for each in studies
        if (not uids or each.uid in uids)
        and (not patient_id or each.keys.get("PatientID") == patient_id)
    ]
    if not wanted:
        raise LocalError(
            f"nothing can be imported from {quoted(root)}",
            value=found.damaged,
            way_out=f"{quoted(found.damages[0][1])}"
            if found.damages
            else "Look with 'gantry media list'.",
        )
    patients = {(each.patient.patient_id, each.patient.name) for each in wanted}
    if len(patients) > 1:
        named = ", ".join(sorted(f"{number} {name}".strip() for number, name in patients))
        raise LocalError(
            f"{quoted(root)} has studies of {len(patients)} patients: {quoted(named)}",
            value=len(patients),
            way_out="Say which: --patient PATIENT_ID, or --study UID.",
        )
    return wanted


def matching_entry(worklist: WorklistWatch, study: FoundStudy) -> Attributes:
    """The one worklist entry of the patient whom the medium names: Patient ID, name and birth date
    are the same. Raises LocalError where none fits, or several."""
    candidates = [
        each
        for each in worklist.find(PatientID=study.keys.get("PatientID", ""))
        if _is_same_person(each, study.keys)
    ]
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        number, name = study.patient.patient_id, study.patient.name
        raise LocalError(
            f"no worklist entry is of the patient {quoted(f'{number} {name}'.rstrip())}",
            value=number,
            way_out="Choose one: gantry import FOLDER --entry ScheduledProcedureStepID=...",
        )
    steps = sorted(
        item.text("ScheduledProcedureStepID")
        for each in candidates
        for item in each.items_of("ScheduledProcedureStepSequence")
    )
    raise LocalError(
        f"{len(candidates)} worklist entries are of this patient: {quoted(', '.join(steps))}",
        value=steps,
        way_out="Choose one: gantry import FOLDER --entry ScheduledProcedureStepID=...",
    )


def _is_same_person(entry: Attributes, keys: Mapping[str, str]) -> bool:
    born = entry.text("PatientBirthDate"), keys.get("PatientBirthDate", "")
    return _plain_name(entry.text("PatientName")) == _plain_name(keys.get("PatientName", "")) and (
        born[0] == born[1] or not all(born)
    )


def _plain_name(name: str) -> list[str]:
    """The first component group, as it is compared: without case and empty components."""
    parts = [part.strip() for part in name.split("=")[0].casefold().split("^")]
    while parts and not parts[-1]:
        parts.pop()
    return parts
