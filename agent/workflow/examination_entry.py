"""Picking the worklist entry of an examination, by what a person or a code says."""

from __future__ import annotations

from collections.abc import Mapping

from agent import observation
from agent.dataset.attributes import Attributes
from agent.errors import GantryError, LocalError
from agent.objects.usable_values import usable
from agent.quoting import Sentence, quoted
from agent.workflow.performed_step import SPS
from agent.workflow.worklist_watch import WorklistWatch

KEYS = (
    "ScheduledProcedureStepID",
    "AccessionNumber",
    "PatientID",
    "RequestedProcedureID",
    "StudyInstanceUID",
)
"""By what an entry can be picked."""


async def pick_entries(worklist: WorklistWatch, keys: Mapping[str, str]) -> list[Attributes]:
    """The entries that these keys pick: from those that are known, else the peer is asked.

    One, or the several of a group case: they are of one patient then, and named by the same order.
    Values that objects cannot hold are cut or left out. Raises LocalError where no entry fits, it
    is not clear which is meant, or an identifier of it cannot be held.
    """
    wanted = {name: keys[name] for name in KEYS if keys.get(name)}
    if not wanted:
        raise LocalError(
            "it is not said which worklist entry is meant",
            limit=", ".join(KEYS),
            way_out="Name an entry, or begin an emergency: gantry exam start --emergency.",
        )
    await worklist.known()
    found = worklist.find(**wanted)
    if not found:
        try:
            found = await worklist.refresh(**wanted)
        except GantryError as error:
            observation.warning("worklist not asked", error=error)
    if not found:
        raise LocalError(
            "no worklist entry fits",
            value=wanted,
            way_out="Look at 'gantry worklist', or begin an emergency.",
        )
    patients = {(each.text("PatientID"), each.text("PatientName")) for each in found}
    by_patient_only = set(wanted) == {"PatientID"}
    if len(patients) > 1 or (len(found) > 1 and by_patient_only):
        steps = [each.item_of(SPS).text("ScheduledProcedureStepID") for each in found]
        raise LocalError(
            f"{len(found)} worklist entries fit: {quoted(', '.join(steps))}",
            value=steps,
            way_out="Name one of them: ScheduledProcedureStepID=...",
        )
    return [_usable(each) for each in found]


def _usable(entry: Attributes) -> Attributes:
    made, mended = usable(entry)
    if mended:
        observation.warning("worklist entry mended", attributes=Sentence("; ".join(mended)))
    return made
