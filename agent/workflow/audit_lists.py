"""Lists of patients that persons are shown: queries of theirs to the node (PS3.15 A.5.3.10)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from agent.dataset.attributes import Attributes
from agent.dataset.attributes_encoding import encode_attributes
from agent.dataset.json_model import from_json
from agent.dataset.sop_classes import MODALITY_WORKLIST_FIND, STUDY_ROOT_FIND
from agent.dataset.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, TRANSFER_SYNTAXES
from agent.errors import GantryError
from agent.security import audit_terms as terms
from agent.security.audit_message import (
    MINOR_FAILURE,
    SUCCESS,
    AuditMessage,
    AuditObject,
    ObjectKind,
)
from agent.security.operators import Person
from agent.workflow.audit_participants import Us, participant_of


class Asked(NamedTuple):
    """A question that was answered."""

    name: str
    person: Person
    request: Mapping[str, Any]
    answer: Any
    failure: str
    when: float


def _studies(asked: Asked) -> Attributes:
    request = asked.request
    dates = (str(request.get(name) or "") for name in ("study_date_from", "study_date_to"))
    keys = Attributes(QueryRetrieveLevel="STUDY")
    keys.set("StudyInstanceUID", str(request.get("study_instance_uid") or ""))
    keys.set("PatientID", str(request.get("patient_id") or ""))
    keys.set("StudyDate", "-".join(dates).strip("-"))
    return keys


def _worklist(asked: Asked) -> Attributes:
    keys = Attributes()
    for name, value in (asked.request.get("keys") or {}).items():
        keys.set(str(name), str(value))
    return keys


def _search(asked: Asked) -> Attributes:
    keys = from_json(asked.request.get("keys") or {})
    keys.set("QueryRetrieveLevel", str(asked.request.get("level") or "STUDY"))
    return keys


LISTS: Mapping[str, tuple[str, Callable[[Asked], Attributes]]] = {
    "worklist": (MODALITY_WORKLIST_FIND, _worklist),
    "search": (STUDY_ROOT_FIND, _search),
    **dict.fromkeys(
        (
            "studies",
            "corrections",
            "administrations",
            "exam-list",
            "import-list",
            "export-list",
            "fetch-list",
        ),
        (STUDY_ROOT_FIND, _studies),
    ),
}
"""Lists of patients, by what would be asked for them over the network."""


def listed(us: Us, asked: Asked) -> AuditMessage:
    """A person was shown a list, or asked for one in vain."""
    sop_class, keys_of = LISTS[asked.name]
    keys = b""
    # Keys that are none are why it failed.
    with suppress(GantryError):
        keys = encode_attributes(keys_of(asked), TRANSFER_SYNTAXES[EXPLICIT_VR_LITTLE_ENDIAN])
    query = AuditObject(
        ObjectKind.QUERY,
        sop_class,
        query=keys,
        details=(("TransferSyntax", EXPLICIT_VR_LITTLE_ENDIAN.encode()),),
    )
    return AuditMessage(
        terms.QUERY,
        "E",
        asked.when,
        (participant_of(asked.person, terms.SOURCE), us.participant(terms.DESTINATION)),
        (query,),
        outcome=MINOR_FAILURE if asked.failure else SUCCESS,
        description=asked.failure,
    )
