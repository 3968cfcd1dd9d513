"""The Modality Performed Procedure Step service, both roles (PS3.4 F.7, F.8, F.9).

IN PROGRESS becomes COMPLETED or DISCONTINUED, and nothing after that: what a device did later is a
step of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from agent.configuration.entity import Entity
from agent.dataset.attributes import Attributes, tag_of
from agent.dataset.sop_classes import MODALITY_PERFORMED_PROCEDURE_STEP
from agent.dataset.uid import is_valid_uid, new_uid
from agent.errors import LocalError, PeerError
from agent.network import command as c
from agent.network.association import Association, IncomingRequest, Response
from agent.network.commands import (
    N_CREATE_RQ,
    N_GET_RQ,
    N_SET_RQ,
    n_create_rq,
    n_event_report_rq,
    n_get_rq,
    n_set_rq,
)
from agent.network.data_set import MemorySink
from agent.network.negotiation import ContextNeed
from agent.network.status import (
    ATTRIBUTE_LIST_ERROR,
    DUPLICATE_SOP_INSTANCE,
    NO_SUCH_SOP_INSTANCE,
    PROCESSING_FAILURE,
    SUCCESS,
)
from agent.network.user_information import RoleSelection
from agent.quoting import quoted
from agent.services.data_sets import (
    MESSAGE_SYNTAXES,
    context_for,
    data_set_of,
    decoded_from,
    encoded,
    sink_for,
)
from agent.services.performed_procedure_step_table import (
    complete_for_create,
    missing,
    not_allowed,
)
from agent.services.service import Service, Support

STEP_RETRIEVE = "1.2.840.10008.3.1.2.3.4"
STEP_NOTIFICATION = "1.2.840.10008.3.1.2.3.5"

IN_PROGRESS, COMPLETED, DISCONTINUED = "IN PROGRESS", "COMPLETED", "DISCONTINUED"
FINAL = frozenset((COMPLETED, DISCONTINUED))
STATUS = "PerformedProcedureStepStatus"

EVENTS: Mapping[str, int] = {
    IN_PROGRESS: 1,
    COMPLETED: 2,
    DISCONTINUED: 3,
    "UPDATED": 4,
    "DELETED": 5,
}
"""Event types of the notification class (Table F.9.2-1)."""

REQUESTED_ATTRIBUTES_NOT_SUPPORTED = 0x0001
INVALID_ATTRIBUTE_VALUE = 0x0106
MISSING_ATTRIBUTE = 0x0120
MISSING_ATTRIBUTE_VALUE = 0x0121
MAY_NO_LONGER_BE_UPDATED = 0xA710
"""Error ID of a step in its final state (Table F.7.2-2)."""
_NO_LONGER = "Performed Procedure Step Object may no longer be updated"


def step_need() -> ContextNeed:
    """What has to be negotiated to report a step."""
    return ContextNeed(MODALITY_PERFORMED_PROCEDURE_STEP, MESSAGE_SYNTAXES)


STEP_ROLE = RoleSelection(MODALITY_PERFORMED_PROCEDURE_STEP, scu=True, scp=False)
"""Role selection is mandatory (F.2.1)."""


async def create_step(
    association: Association, sop_instance_uid: str, step: Attributes
) -> Response:
    """N-CREATE of a step that has begun (F.7.2.1). Raises LocalError for one that lacks what type 1
    asks, or is not IN PROGRESS; PeerError as `context_for` and when the association ends."""
    made = step.copy()
    complete_for_create(made)
    absent, empty = missing(made)
    if absent or empty or made.text(STATUS) != IN_PROGRESS:
        raise LocalError(
            f"The step cannot be reported: {', '.join(absent + empty) or STATUS} has no value.",
            clause="PS3.4 F.7.2.1",
            value=absent + empty,
        )
    context = context_for(
        association, MODALITY_PERFORMED_PROCEDURE_STEP, "Modality Performed Procedure Step"
    )
    command = n_create_rq(
        association.next_message_id(), MODALITY_PERFORMED_PROCEDURE_STEP, sop_instance_uid
    )
    return await association.request(context, command, encoded(made, context))


async def set_step(
    association: Association, sop_instance_uid: str, modification: Attributes
) -> Response:
    """N-SET of a step that goes on or ends (F.7.2.2); sequences go whole.

    Raises LocalError for what N-SET may not carry, or a final state without its attributes;
    PeerError as `create_step`."""
    wrong = not_allowed(modification)
    if modification.text(STATUS) in FINAL:
        absent, empty = missing(modification, final=True)
        wrong += absent + empty
    if wrong:
        raise LocalError(
            f"The step cannot be changed: {quoted(', '.join(wrong))}.",
            clause="PS3.4 F.7.2.2.2",
            value=wrong,
        )
    context = context_for(
        association, MODALITY_PERFORMED_PROCEDURE_STEP, "Modality Performed Procedure Step"
    )
    command = n_set_rq(
        association.next_message_id(), MODALITY_PERFORMED_PROCEDURE_STEP, sop_instance_uid
    )
    return await association.request(context, command, encoded(modification, context))


def may_never_pass(response: Response) -> bool:
    """Whether the step is final at the peer, so that trying again is of no use (F.7.2.2.4)."""
    return response.status == PROCESSING_FAILURE and response.error_id == MAY_NO_LONGER_BE_UPDATED


async def get_step(
    association: Association, sop_instance_uid: str, keywords: Sequence[str] = ()
) -> tuple[Response, Attributes]:
    """N-GET of a step (F.8.2.1); all attributes where none are named. Raises PeerError."""
    context = context_for(association, STEP_RETRIEVE, "Performed Procedure Step Retrieve")
    command = n_get_rq(
        association.next_message_id(),
        STEP_RETRIEVE,
        sop_instance_uid,
        tuple(tag_of(each) for each in keywords),
    )
    response = await association.request(context, command)
    data = response.data_set
    return response, decoded_from(data if isinstance(data, bytes) else None, context)


async def notify_step(association: Association, sop_instance_uid: str, event: int) -> Response:
    """N-EVENT-REPORT of a change (F.9.2), by us as SCP; it carries no attributes."""
    context = association.contexts.find(STEP_NOTIFICATION, scp=True)
    if context is None:
        raise PeerError(
            "the peer takes no notifications of performed procedure steps", clause="PS3.4 F.9"
        )
    command = n_event_report_rq(
        association.next_message_id(), STEP_NOTIFICATION, sop_instance_uid, event
    )
    return await association.request(context, command)


@dataclass(frozen=True, slots=True)
class KeptStep:
    """A step as the SCP keeps it."""

    sop_instance_uid: str
    attributes: Attributes = field(default_factory=Attributes)


class Steps(Protocol):
    """Where the SCP keeps steps; every change is durable when the call returns."""

    async def create(self, step: KeptStep, calling_title: str) -> bool:
        """Keep a new step; False where one of this UID is there. Raises StorageError."""

    async def change(
        self, sop_instance_uid: str, modification: Attributes, calling_title: str
    ) -> str:
        """Change a step that is IN PROGRESS; the status that it had before, "" for none there."""

    async def get(self, sop_instance_uid: str) -> KeptStep | None:
        """A step, or None."""


class StepProvider:
    """Performs N-CREATE and N-SET (F.7) and N-GET (F.8) on the steps that others report."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def begin(self, request: IncomingRequest) -> MemorySink | None:
        retrieving = request.context.abstract_syntax == STEP_RETRIEVE
        fields = (N_GET_RQ,) if retrieving else (N_CREATE_RQ, N_SET_RQ)
        return sink_for(request, frozenset(fields), "PS3.4 F.7.1")

    async def perform(self, request: IncomingRequest) -> Response:
        if request.command.field == N_CREATE_RQ:
            return await self._create(request)
        if request.command.field == N_SET_RQ:
            return await self._set(request)
        return await self._get(request)

    async def _create(self, request: IncomingRequest) -> Response:
        step = data_set_of(request)
        uid = request.command.affected_sop_instance_uid or new_uid()
        if not is_valid_uid(uid):
            return Response(0x0117, "SOP Instance UID is not valid")
        if step.text(STATUS) not in ("", IN_PROGRESS):
            # F.7.2.1.3: with the attribute that is wrong.
            wrong = Attributes()
            wrong.set(STATUS, step.text(STATUS))
            return Response(
                INVALID_ATTRIBUTE_VALUE,
                "Performed Procedure Step Status is not IN PROGRESS",
                data_set=encoded(wrong, request.context),
            )
        absent, empty = missing(step)
        if absent:
            return Response(MISSING_ATTRIBUTE, f"Missing: {', '.join(absent)}")
        if empty:
            return Response(MISSING_ATTRIBUTE_VALUE, f"No value: {', '.join(empty)}")
        calling = request.association.calling_ae_title
        if not await self._steps.create(KeptStep(uid, step), calling):
            return Response(DUPLICATE_SOP_INSTANCE, "There is such a step already")
        return Response(SUCCESS, elements={c.AFFECTED_SOP_INSTANCE_UID: uid})

    async def _set(self, request: IncomingRequest) -> Response:
        modification = data_set_of(request)
        state = modification.text(STATUS)
        if state and state not in (IN_PROGRESS, *FINAL):
            return Response(
                INVALID_ATTRIBUTE_VALUE, f"{quoted(repr(state))} is no status of a step"
            )
        uid = request.command.requested_sop_instance_uid
        ignored = not_allowed(modification)
        for keyword in ignored:
            modification.remove(keyword)
        before = await self._steps.change(uid, modification, request.association.calling_ae_title)
        if not before:
            return Response(NO_SUCH_SOP_INSTANCE, "There is no such step")
        if before in FINAL:
            return Response(PROCESSING_FAILURE, _NO_LONGER, error_id=MAY_NO_LONGER_BE_UPDATED)
        if ignored:
            # What cannot be set is left as it was, and the rest is kept all the same.
            return Response(
                ATTRIBUTE_LIST_ERROR,
                "Attributes that N-SET may not carry were ignored",
                attribute_identifiers=tuple(tag_of(each) for each in ignored),
            )
        return Response(SUCCESS)

    async def _get(self, request: IncomingRequest) -> Response:
        step = await self._steps.get(request.command.requested_sop_instance_uid)
        if step is None:
            return Response(NO_SUCH_SOP_INSTANCE, "There is no such step")
        wanted = request.command.elements.get(c.ATTRIBUTE_IDENTIFIER_LIST, ())
        if not wanted:
            return Response(SUCCESS, data_set=encoded(step.attributes, request.context))
        given = Attributes()
        lacking = []
        for tag in (0x00080005, *wanted):
            held = step.attributes.get(tag)
            if held is not None:
                given.put(tag, held)
            elif tag in wanted:
                lacking.append(tag)
        # 0001H: the SCU must do without what is optional and not there (F.8.2.1.4).
        status = REQUESTED_ATTRIBUTES_NOT_SUPPORTED if lacking else SUCCESS
        return Response(
            status,
            attribute_identifiers=tuple(lacking),
            data_set=encoded(given, request.context),
        )


def _provider(entity: Entity, support: Support) -> StepProvider:
    return StepProvider(support.steps_of(entity))


SERVICE = Service(
    name="performed-step",
    meaning="N-CREATE, N-SET, N-GET: what was done",
    clause="F",
    roles=("scu", "scp"),
    sop_classes=frozenset((MODALITY_PERFORMED_PROCEDURE_STEP, STEP_RETRIEVE)),
    default_sop_classes=(MODALITY_PERFORMED_PROCEDURE_STEP, STEP_RETRIEVE),
    provider=_provider,
)
