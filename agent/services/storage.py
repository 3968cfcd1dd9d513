"""The Storage service class, both roles (PS3.4 Annex B).

As SCP it writes the data set as it came behind file meta information of its own, and answers what
the keeper of the object says. As SCU it sends a stored data set as it is. What both say when the
association is negotiated is in `storage_negotiation`.
"""

from __future__ import annotations

from typing import Any

from agent import __version__
from agent.archive.decision import Origin
from agent.configuration.entity import Entity
from agent.dataset.file_meta import encode_file_meta
from agent.dataset.sop_classes import (
    SOP_CLASSES,
    ServiceClass,
    storage_sop_classes,
)
from agent.dataset.uid import is_valid_uid
from agent.errors import GantryError, LocalError, PeerError, StatusReaction
from agent.network.association import Association, IncomingRequest, Response
from agent.network.commands import C_STORE_RQ, c_store_rq
from agent.network.data_set import DataSetSource, FileSink
from agent.network.negotiation import ExtendedAnswer, PresentationContext
from agent.network.status import (
    DATA_SET_DOES_NOT_MATCH_SOP_CLASS,
    SUCCESS,
    UNRECOGNIZED_OPERATION,
)
from agent.quoting import quoted
from agent.services.keeping import Keeper
from agent.services.service import Service, Support
from agent.services.storage_answers import restrict, status_for
from agent.services.storage_negotiation import Capability, extended_answer

IMPLEMENTATION_CLASS_UID = "2.25.290467254938745116203785518924137106533"
IMPLEMENTATION_VERSION_NAME = f"GANTRY_{__version__.replace('.', '_')}"


async def c_store(
    association: Association,
    context: PresentationContext,
    sop_class_uid: str,
    sop_instance_uid: str,
    source: DataSetSource,
    *,
    priority: int = 0,
    move_originator: str = "",
    move_originator_message_id: int = 0,
) -> Response:
    """Send one object on `context` (PS3.7 9.1.1).

    The response tells success, warning (stored all the same: B000, B006, B007) and failure (any
    status of A7xx, A9xx, Cxxx and others) apart by its `category`; PS3.4 Table B.2-1. Raises
    PeerError when the association ends before the answer: whether it is stored is not known then.
    """
    command = c_store_rq(
        association.next_message_id(),
        sop_class_uid,
        sop_instance_uid,
        priority,
        move_originator,
        move_originator_message_id,
    )
    return await association.request(context, command, source)


class _ObjectSink(FileSink):
    """A sink that belongs to a reception of the keeper."""

    def __init__(self, keeping: Any, limit: int, status: int, full: int) -> None:
        super().__init__(keeping.descriptor, limit=limit, status=status, full=full)
        self.keeping = keeping

    def discard(self) -> None:
        self.keeping.discard()


class StorageProvider:
    """Performs C-STORE for one application entity (PS3.4 B.2.2, GG.4.2).

    `object_size` bounds one object in bytes (0: what the keeper takes). Whether an object was asked
    for is known to the keeper.
    """

    def __init__(
        self,
        entity: Entity,
        keeper: Keeper,
        *,
        object_size: int = 0,
        implementation_class_uid: str = IMPLEMENTATION_CLASS_UID,
        implementation_version_name: str = IMPLEMENTATION_VERSION_NAME,
    ) -> None:
        self._entity = entity
        self._keeper = keeper
        self._object_size = object_size
        self._class_uid = implementation_class_uid
        self._version_name = implementation_version_name

    def begin(self, request: IncomingRequest) -> FileSink:
        if request.command.field != C_STORE_RQ:
            raise _refused(UNRECOGNIZED_OPERATION, "Storage knows C-STORE only", "PS3.4 B.1.2")
        try:
            return self._begin(request)
        except GantryError as error:
            restrict(error, request.context.abstract_syntax)
            raise

    def _begin(self, request: IncomingRequest) -> FileSink:
        command, association = request.command, request.association
        statuses = self._entity.status
        sop_class, instance = command.affected_sop_class_uid, command.affected_sop_instance_uid
        if sop_class != request.context.abstract_syntax:
            raise _refused(
                DATA_SET_DOES_NOT_MATCH_SOP_CLASS,
                "SOP class is not that of the context",
                "PS3.4 B.2.3",
            )
        if not is_valid_uid(instance):
            raise _refused(statuses.unparsable, "SOP Instance UID is not valid", "PS3.5 9.1")
        refusal = self._keeper.refusal()
        if refusal is not None:
            raise LocalError(f"{quoted(refusal.comment)}" or "no room", reaction=refusal)
        calling, called = association.calling_ae_title, association.called_ae_title
        keeping = self._keeper.receive(
            encode_file_meta(
                sop_class_uid=sop_class,
                sop_instance_uid=instance,
                transfer_syntax_uid=request.context.transfer_syntax,
                implementation_class_uid=self._class_uid,
                implementation_version_name=self._version_name,
                source_ae_title=calling,
                receiving_ae_title=called,
            )
        )
        out_of_resources = status_for(sop_class, statuses.out_of_resources)
        full = status_for(sop_class, statuses.disk_full)
        return _ObjectSink(keeping, self._object_size, out_of_resources, full)

    async def perform(self, request: IncomingRequest) -> Response:
        sink = request.sink
        assert isinstance(sink, _ObjectSink)
        command, association = request.command, request.association
        origin = Origin(
            source="network",
            calling=association.calling_ae_title,
            called=association.called_ae_title,
            peer=association.peer,
            entity=association.entity,
            address=association.address,
            association=association.identification,
            sop_class_uid=command.affected_sop_class_uid,
            sop_instance_uid=command.affected_sop_instance_uid,
            move_originator=command.move_originator,
            check=self._entity.storage.check_sop_class,
        )
        try:
            verdict = await self._keeper.commit(sink.keeping, origin)
        except GantryError as error:
            restrict(error, request.context.abstract_syntax)
            raise
        finally:
            sink.keeping.discard()
        status = status_for(request.context.abstract_syntax, verdict.status)
        if status == SUCCESS:
            return Response(SUCCESS)
        return Response(status, f"{quoted(verdict.comment)}", verdict.offending_elements)


def _refused(status: int, comment: str, clause: str) -> PeerError:
    return PeerError(comment, clause=clause, reaction=StatusReaction(status, comment))


def capability_of(entity: Entity) -> Capability:
    """What the entity says of itself as Storage SCP."""
    behaviour = entity.storage
    return Capability(
        behaviour.level, behaviour.negotiated_signature_level, bool(behaviour.coercion)
    )


def _extended(entity: Entity, sop_class: str) -> ExtendedAnswer | None:
    row = SOP_CLASSES.get(sop_class)
    if row is not None and row.service is ServiceClass.NON_PATIENT_OBJECT_STORAGE:
        return None
    return extended_answer(capability_of(entity))


def storage_provider(entity: Entity, support: Support) -> StorageProvider:
    """The performer for one entity, of classes of annex B and annex GG alike."""
    return StorageProvider(
        entity,
        support.keeper_of(entity),
        object_size=support.object_size,
        implementation_class_uid=support.implementation_class_uid,
        implementation_version_name=support.implementation_version_name,
    )


SERVICE = Service(
    name="storage",
    meaning="C-STORE: objects of a patient",
    clause="B",
    roles=("scu", "scp"),
    sop_classes=frozenset(storage_sop_classes(non_patient=True)),
    default_sop_classes=storage_sop_classes(),
    provider=storage_provider,
    extended=_extended,
    any_class=True,
)
