"""Media Creation Management, both roles (PS3.4 Annex S).

Instances are stored first, by the Storage service. N-CREATE says which of them go on media,
N-ACTION that they be made, or not any more; how far it is N-GET tells, on any association. Nothing
is notified, and nothing promised beyond the media (S.1.1). Tables are in `media_creation_table`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from agent.configuration.entity import Entity
from agent.dataset.attributes import Attributes, tag_of
from agent.dataset.sop_classes import MEDIA_CREATION_MANAGEMENT
from agent.dataset.uid import is_valid_uid, new_uid
from agent.errors import LocalError
from agent.network import command as c
from agent.network.association import Association, IncomingRequest, Response
from agent.network.commands import (
    N_ACTION_RQ,
    N_CREATE_RQ,
    N_GET_RQ,
    n_action_rq,
    n_create_rq,
    n_get_rq,
)
from agent.network.data_set import MemorySink
from agent.network.negotiation import ContextNeed
from agent.network.status import (
    DUPLICATE_SOP_INSTANCE,
    NO_SUCH_SOP_INSTANCE,
    PROCESSING_FAILURE,
    RESOURCE_LIMITATION,
    SUCCESS,
)
from agent.quoting import quoted
from agent.services.data_sets import (
    MESSAGE_SYNTAXES,
    context_for,
    data_set_of,
    decoded_from,
    encoded,
    sink_for,
)
from agent.services.media_creation_table import (
    ALREADY_COMPLETED,
    CANCEL_MEDIA_CREATION,
    CANCELLATION_DENIED,
    CANNOT_BE_INTERRUPTED,
    IDLE,
    INITIATE_ALREADY_RECEIVED,
    INITIATE_MEDIA_CREATION,
    INVALID_ARGUMENT_VALUE,
    MISSING_ATTRIBUTE,
    PRIORITIES,
    REQUESTED_ATTRIBUTES_NOT_SUPPORTED,
    Fault,
    fault_of_request,
)
from agent.services.service import Service, Support
from agent.services.storage_commitment import NO_SUCH_ACTION, Failure, Reference

INVALID_SOP_INSTANCE = 0x0117
_NAME = "Media Creation Management"
_NONE_SUCH = "There is no such media creation request"


class Wanted(NamedTuple):
    """An instance that is to go on media; `profile` is of PS3.11, "" leaves it to the SCP."""

    reference: Reference
    profile: str = ""


class Volume(NamedTuple):
    """A file-set that was made: its File-set ID and UID, the same on all copies (S.3.2.1.1.1)."""

    file_set_id: str
    file_set_uid: str


class Progress(NamedTuple):
    """How far a request is. `pieces` counts media, copies included."""

    status: str
    info: str
    pieces: int
    failed: tuple[Failure, ...] = ()
    volumes: tuple[Volume, ...] = ()


# As SCU.


def creation_need() -> ContextNeed:
    """What has to be negotiated."""
    return ContextNeed(MEDIA_CREATION_MANAGEMENT, MESSAGE_SYNTAXES)


async def create_request(
    association: Association,
    sop_instance_uid: str,
    wanted: Iterable[Wanted],
    more: Attributes | None = None,
) -> Response:
    """N-CREATE (S.3.2.1); `more` has other attributes of Table S.3.2.1.1-1.

    Raises LocalError where nothing is wanted, or what our own SCP would refuse; PeerError as
    `context_for`, and when the association ends.
    """
    request = (more or Attributes()).copy()
    items = []
    for each in dict.fromkeys(wanted):
        item = Attributes(
            ReferencedSOPClassUID=each.reference.sop_class_uid,
            ReferencedSOPInstanceUID=each.reference.sop_instance_uid,
        )
        if each.profile:
            item.set("RequestedMediaApplicationProfile", each.profile)
        items.append(item)
    request.set("ReferencedSOPSequence", items)
    fault = fault_of_request(request)
    if fault is not None:
        raise LocalError(
            f"This cannot be asked for: {quoted(fault.comment)}.",
            clause="PS3.4 S.3.2.1",
            value=fault,
        )
    context = context_for(association, MEDIA_CREATION_MANAGEMENT, _NAME)
    command = n_create_rq(
        association.next_message_id(), MEDIA_CREATION_MANAGEMENT, sop_instance_uid
    )
    return await association.request(context, command, encoded(request, context))


async def initiate_creation(
    association: Association, sop_instance_uid: str, copies: int = 1, priority: str = ""
) -> Response:
    """N-ACTION 1 (S.3.2.2): make them, so many times. Raises PeerError."""
    information = Attributes(NumberOfCopies=str(copies))
    if priority:
        information.set("RequestPriority", priority)
    return await _act(association, sop_instance_uid, INITIATE_MEDIA_CREATION, information)


async def cancel_creation(association: Association, sop_instance_uid: str) -> Response:
    """N-ACTION 2 (S.3.2.3): by success the request is gone. Raises PeerError."""
    return await _act(association, sop_instance_uid, CANCEL_MEDIA_CREATION, None)


async def _act(
    association: Association, uid: str, action: int, information: Attributes | None
) -> Response:
    context = context_for(association, MEDIA_CREATION_MANAGEMENT, _NAME)
    command = n_action_rq(association.next_message_id(), MEDIA_CREATION_MANAGEMENT, uid, action)
    data = None if information is None else encoded(information, context)
    return await association.request(context, command, data)


async def get_creation(
    association: Association, sop_instance_uid: str, keywords: Sequence[str] = ()
) -> tuple[Response, Attributes]:
    """N-GET (S.3.2.4); all that the SCP has where no attributes are named. Raises PeerError."""
    context = context_for(association, MEDIA_CREATION_MANAGEMENT, _NAME)
    command = n_get_rq(
        association.next_message_id(),
        MEDIA_CREATION_MANAGEMENT,
        sop_instance_uid,
        tuple(tag_of(each) for each in keywords),
    )
    response = await association.request(context, command)
    data = response.data_set
    return response, decoded_from(data if isinstance(data, bytes) else None, context)


def progress_of(result: Attributes) -> Progress:
    """What an SCP says of a request; a status that the standard does not know stays as it is."""
    return Progress(
        result.text("ExecutionStatus"),
        result.text("ExecutionStatusInfo"),
        result.number("TotalNumberOfPiecesOfMediaCreated"),
        tuple(
            Failure(
                Reference(
                    item.text("ReferencedSOPClassUID"), item.text("ReferencedSOPInstanceUID")
                ),
                item.number("FailureReason", PROCESSING_FAILURE),
            )
            for item in result.items_of("FailedSOPSequence")
        ),
        tuple(
            Volume(item.text("StorageMediaFileSetID"), item.text("StorageMediaFileSetUID"))
            for item in result.items_of("ReferencedStorageMediaSequence")
        ),
    )


# As SCP.


class MediaRequests(Protocol):
    """Where the SCP keeps requests, and who carries them out; every change is durable when the
    call returns. All raise StorageError, which refuses the operation."""

    @property
    def most_copies(self) -> int:
        """Copies of one request at most."""

    async def create(self, sop_instance_uid: str, request: Attributes, calling: str) -> str:
        """Keep a new request; the Execution Status of the one that is there already, or ""."""

    async def initiate(self, sop_instance_uid: str, copies: int, priority: str) -> int:
        """Have the media made; the status of the N-ACTION: A510H where that was asked before."""

    async def cancel(self, sop_instance_uid: str) -> int:
        """Stop, and forget the request; the status of the N-ACTION (Table S.3.2.3.4-1)."""

    async def get(self, sop_instance_uid: str) -> Attributes | None:
        """The request with what became of it (Table S.3.2.4.1-1), or None."""


class MediaCreationProvider:
    """Performs N-CREATE, N-ACTION and N-GET."""

    def __init__(self, requests: MediaRequests) -> None:
        self._requests = requests

    def begin(self, request: IncomingRequest) -> MemorySink | None:
        fields = frozenset((N_CREATE_RQ, N_ACTION_RQ, N_GET_RQ))
        return sink_for(request, fields, "PS3.4 S.3.1")

    async def perform(self, request: IncomingRequest) -> Response:
        if request.command.field == N_CREATE_RQ:
            return await self._create(request)
        if request.command.field == N_ACTION_RQ:
            return await self._act(request)
        return await self._get(request)

    async def _create(self, request: IncomingRequest) -> Response:
        uid = request.command.affected_sop_instance_uid or new_uid()
        if not is_valid_uid(uid):
            return Response(INVALID_SOP_INSTANCE, "SOP Instance UID is not valid")
        wanted = data_set_of(request)
        fault = fault_of_request(wanted)
        if fault is not None:
            return _refused(fault, wanted, request)
        calling = request.association.calling_ae_title
        before = await self._requests.create(uid, wanted, calling)
        if not before:
            return Response(SUCCESS, elements={c.AFFECTED_SOP_INSTANCE_UID: uid})
        if before == IDLE:
            return Response(DUPLICATE_SOP_INSTANCE, "There is such a request already")
        return Response(INITIATE_ALREADY_RECEIVED, "It was initiated already")

    async def _act(self, request: IncomingRequest) -> Response:
        uid = request.command.requested_sop_instance_uid
        action = request.command.elements.get(c.ACTION_TYPE_ID)
        if action == CANCEL_MEDIA_CREATION:
            return _answer(await self._requests.cancel(uid))
        if action != INITIATE_MEDIA_CREATION:
            return Response(NO_SUCH_ACTION, "There is no such action")
        information = data_set_of(request)
        copies = information.number("NumberOfCopies", 0 if information.has("NumberOfCopies") else 1)
        if not 1 <= copies <= self._requests.most_copies:
            most = self._requests.most_copies
            return Response(INVALID_ARGUMENT_VALUE, f"Number of Copies: from 1 to {most}")
        priority = information.text("RequestPriority")
        if priority and priority not in PRIORITIES:
            return Response(INVALID_ARGUMENT_VALUE, "Request Priority: HIGH, MED or LOW")
        return _answer(await self._requests.initiate(uid, copies, priority))

    async def _get(self, request: IncomingRequest) -> Response:
        found = await self._requests.get(request.command.requested_sop_instance_uid)
        if found is None:
            return Response(NO_SUCH_SOP_INSTANCE, _NONE_SUCH)
        wanted = request.command.elements.get(c.ATTRIBUTE_IDENTIFIER_LIST, ())
        if not wanted:
            return Response(SUCCESS, data_set=encoded(found, request.context))
        given = Attributes()
        lacking = []
        for tag in (0x00080005, *wanted):
            held = found.get(tag)
            if held is not None:
                given.put(tag, held)
            elif tag in wanted:
                lacking.append(tag)
        return Response(
            REQUESTED_ATTRIBUTES_NOT_SUPPORTED if lacking else SUCCESS,
            attribute_identifiers=tuple(lacking),
            data_set=encoded(given, request.context),
        )


def _refused(fault: Fault, wanted: Attributes, request: IncomingRequest) -> Response:
    """With the attribute that is wrong: its tag where it is missing, else its value (PS3.7 C.5)."""
    tag = tag_of(fault.keyword)
    if fault.status == MISSING_ATTRIBUTE:
        return Response(fault.status, f"{quoted(fault.comment)}", attribute_identifiers=(tag,))
    wrong = Attributes()
    held = wanted.get(tag)
    if held is not None and held.vr != "SQ":
        wrong.put(tag, held)
    data = encoded(wrong, request.context) if len(wrong) else None
    return Response(fault.status, f"{quoted(fault.comment)}", data_set=data)


_COMMENTS = {
    NO_SUCH_SOP_INSTANCE: _NONE_SUCH,
    INITIATE_ALREADY_RECEIVED: "It was initiated already",
    RESOURCE_LIMITATION: "Too many requests wait; try again later",
    ALREADY_COMPLETED: "The request is over",
    CANNOT_BE_INTERRUPTED: "The media are just being finished",
    CANCELLATION_DENIED: "The request cannot be cancelled",
}


def _answer(status: int) -> Response:
    return Response(status, _COMMENTS.get(status, ""))


def _provider(entity: Entity, support: Support) -> MediaCreationProvider:
    return MediaCreationProvider(support.media_requests_of(entity))


SERVICE = Service(
    name="media-creation",
    meaning="N-CREATE, N-ACTION, N-GET: media with what was stored",
    clause="S",
    roles=("scu", "scp"),
    sop_classes=frozenset((MEDIA_CREATION_MANAGEMENT,)),
    default_sop_classes=(MEDIA_CREATION_MANAGEMENT,),
    provider=_provider,
)
