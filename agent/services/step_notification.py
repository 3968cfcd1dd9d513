"""Notification of performed procedure steps, as SCU: what another keeps has changed (PS3.4 F.9).

As SCP we notify by errands (`notify_step`); here is who listens. The SCP opens the association.
"""

from __future__ import annotations

from agent import observation
from agent.configuration.entity import Entity
from agent.errors import PeerError, StatusReaction
from agent.network import command as c
from agent.network.association import IncomingRequest, Response
from agent.network.commands import N_EVENT_REPORT_RQ
from agent.network.data_set import MemorySink
from agent.network.status import SUCCESS
from agent.services.data_sets import sink_for
from agent.services.performed_procedure_step import EVENTS, STEP_NOTIFICATION
from agent.services.service import Service, Support

_NO_SUCH_EVENT_TYPE = 0x0113
_NAMES = {number: name for name, number in EVENTS.items()}


class NotificationReceiver:
    """Takes notifications, and tells of them in the log."""

    def begin(self, request: IncomingRequest) -> MemorySink | None:
        return sink_for(request, frozenset((N_EVENT_REPORT_RQ,)), "PS3.4 F.9.1")

    async def perform(self, request: IncomingRequest) -> Response:
        event = request.command.elements.get(c.EVENT_TYPE_ID, 0)
        name = _NAMES.get(event) if isinstance(event, int) else None
        if name is None:
            comment = "There is no such event"
            raise PeerError(
                comment,
                clause="PS3.4 F.9.2",
                value=event,
                reaction=StatusReaction(_NO_SUCH_EVENT_TYPE, comment),
            )
        observation.info(
            "step notified",
            step=request.command.affected_sop_instance_uid,
            event=name,
            calling=request.association.calling_ae_title,
        )
        return Response(SUCCESS)


def _provider(entity: Entity, support: Support) -> NotificationReceiver:
    return NotificationReceiver()


SERVICE = Service(
    name="step-notification",
    meaning="N-EVENT-REPORT: a step that another keeps has changed",
    clause="F.9",
    roles=("scu",),
    sop_classes=frozenset((STEP_NOTIFICATION,)),
    default_sop_classes=(STEP_NOTIFICATION,),
    provider=_provider,
    called_as_scu=True,
)
