"""What a C-MOVE or C-GET is about: the SOP classes, what one asks for, and who performs it.

PS3.4 C.4.2 and C.4.3 with their information models (C.6), the Composite Instance Root (Y) and
Retrieve Without Bulk Data (Z), whose levels are those of one instance, and non-patient objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol

from agent.archive.information_model import (
    PATIENT_ROOT,
    PATIENT_STUDY_ONLY,
    STUDY_ROOT,
    InformationModel,
    Level,
)
from agent.archive.object_models import OBJECT_MODEL_NAMES
from agent.archive.selection import Selection
from agent.dataset.sop_classes import (
    COMPOSITE_INSTANCE_ROOT_GET,
    COMPOSITE_INSTANCE_ROOT_MOVE,
    WITHOUT_BULK_DATA_GET,
)
from agent.network.association import Association
from agent.network.commands import C_GET_RQ, C_MOVE_RQ
from agent.services.sub_operations import SubOperations

if TYPE_CHECKING:
    from agent.objects.frame_selection import FrameSelection

_INSTANCE = Level("IMAGE", "SOPInstanceUID", ())

COMPOSITE_INSTANCE_ROOT = InformationModel(
    "Composite Instance Root",
    (_INSTANCE,),
    "",
    COMPOSITE_INSTANCE_ROOT_MOVE,
    COMPOSITE_INSTANCE_ROOT_GET,
)
"""Its other level, FRAME, selects within one instance (Y.6.1.1.3)."""
WITHOUT_BULK_DATA = InformationModel(
    "Composite Instance Retrieve Without Bulk Data", (_INSTANCE,), "", "", WITHOUT_BULK_DATA_GET
)


class Retrieve(NamedTuple):
    """A SOP class of retrieval: its model, and the request that it knows."""

    model: InformationModel
    field: int

    @property
    def is_relational(self) -> bool:
        """Whether relational retrieval can be negotiated (C.5.3.1; not Y.5.1, Z.5.1, U.4.2)."""
        if self.model.stored:
            return False
        return self.model not in (COMPOSITE_INSTANCE_ROOT, WITHOUT_BULK_DATA)


_MODELS = (
    PATIENT_ROOT,
    STUDY_ROOT,
    PATIENT_STUDY_ONLY,
    COMPOSITE_INSTANCE_ROOT,
    WITHOUT_BULK_DATA,
    *OBJECT_MODEL_NAMES.values(),
)
RETRIEVES: Mapping[str, Retrieve] = MappingProxyType(
    {
        uid: Retrieve(model, field)
        for model in _MODELS
        for uid, field in ((model.move, C_MOVE_RQ), (model.get, C_GET_RQ))
        if uid
    }
)
"""The SOP classes by UID."""


@dataclass(frozen=True, slots=True)
class Order:
    """What one request asks for. `destination` is the AE title of a C-MOVE; None for a C-GET, whose
    sub-operations go over `association` itself."""

    association: Association
    selection: Selection
    destination: str | None
    priority: int
    frames: FrameSelection | None = None
    """Of the one instance that is selected then (Y.6.1.1.3)."""
    without_bulk_data: bool = False


class Retrievals(Protocol):
    """Performs the sub-operations of requests to one entity."""

    @property
    def relational_peers(self) -> frozenset[str]:
        """Peers that retrieve relationally without having negotiated it."""

    async def perform(self, order: Order, operations: SubOperations) -> None:
        """Until there is nothing left to do; each outcome is told to `operations`.

        Raises PeerError with the status of a request that cannot be carried out (A801H; AA00H to
        AA04H at FRAME level), and StorageError when the index cannot be read. Cancelled, it leaves
        nothing behind.
        """
