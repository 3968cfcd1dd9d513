"""The Non-Patient Object Storage service class, both roles (PS3.4 Annex GG).

C-STORE with stricter rules: everything is stored, nothing is coerced, no extended negotiation
(GG.2), and the only answers are 0000H, A700H, A900H and C000H (Table GG.4-1).
"""

from __future__ import annotations

from agent.configuration.entity import Entity
from agent.dataset.sop_classes import NON_PATIENT, SOP_CLASSES
from agent.errors import GantryError, StatusReaction
from agent.network.association import IncomingRequest, Response
from agent.network.data_set import FileSink
from agent.network.status import (
    CANNOT_UNDERSTAND,
    DATA_SET_DOES_NOT_MATCH_SOP_CLASS,
    OUT_OF_RESOURCES,
    SUCCESS,
    Category,
    category,
)
from agent.services.service import Service, Support
from agent.services.storage import StorageProvider


def status_of_annex_gg(status: int) -> int:
    """The value of Table GG.4-1 for a status that Annex B would answer."""
    if category(status) in (Category.SUCCESS, Category.WARNING):
        return SUCCESS
    if status & 0xFF00 == DATA_SET_DOES_NOT_MATCH_SOP_CLASS:
        return DATA_SET_DOES_NOT_MATCH_SOP_CLASS
    if status & 0xF000 == CANNOT_UNDERSTAND:
        return CANNOT_UNDERSTAND
    return OUT_OF_RESOURCES


class NonPatientObjectStorageProvider(StorageProvider):
    """Performs C-STORE with the answers of Table GG.4-1."""

    def begin(self, request: IncomingRequest) -> FileSink:
        try:
            return super().begin(request)
        except GantryError as error:
            if isinstance(error.reaction, StatusReaction):
                status = status_of_annex_gg(error.reaction.status)
                error.reaction = StatusReaction(status, error.reaction.comment)
            raise

    def _answer(self, status: int, comment: str, offending: tuple[int, ...]) -> Response:
        status = status_of_annex_gg(status)
        if status == SUCCESS:
            return Response(SUCCESS)
        return Response(status, comment, offending)


def _provider(entity: Entity, support: Support) -> NonPatientObjectStorageProvider:
    return NonPatientObjectStorageProvider(
        entity,
        support.keeper_of(entity),
        object_size=support.object_size,
        implementation_class_uid=support.implementation_class_uid,
        implementation_version_name=support.implementation_version_name,
    )


SERVICE = Service(
    name="non-patient-object-storage",
    meaning="C-STORE: hanging protocols, palettes, templates, protocols, inventories",
    clause="GG",
    roles=("scu", "scp"),
    sop_classes=NON_PATIENT,
    default_sop_classes=tuple(uid for uid in SOP_CLASSES if uid in NON_PATIENT),
    provider=_provider,
)
