"""Application Event Logging, both classes, as SCP (PS3.4 Annex P).

What the Action Information must be is in `event_logging_table`; how each class is used as SCU in
`procedural_event` and `substance_administration`.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from agent.configuration.entity import Entity
from agent.dataset.attributes import Attributes
from agent.dataset.sop_classes import PROCEDURAL_EVENT_LOGGING, SUBSTANCE_ADMINISTRATION_LOGGING
from agent.network import command as c
from agent.network.association import IncomingRequest, Response
from agent.network.commands import N_ACTION_RQ
from agent.network.data_set import MemorySink
from agent.network.status import Category, category
from agent.quoting import quoted
from agent.services.data_sets import data_set_of, encoded, sink_for
from agent.services.procedural_event import (
    PROCEDURAL_EVENT_LOGGING_INSTANCE,
    RECORD_PROCEDURAL_EVENT,
)
from agent.services.service import Service, Support
from agent.services.storage_commitment import NO_SUCH_ACTION, NO_SUCH_SOP_INSTANCE
from agent.services.substance_administration import (
    RECORD_SUBSTANCE_ADMINISTRATION,
    SUBSTANCE_ADMINISTRATION_LOGGING_INSTANCE,
    refusal,
)

_ACTIONS = {
    PROCEDURAL_EVENT_LOGGING: (PROCEDURAL_EVENT_LOGGING_INSTANCE, RECORD_PROCEDURAL_EVENT),
    SUBSTANCE_ADMINISTRATION_LOGGING: (
        SUBSTANCE_ADMINISTRATION_LOGGING_INSTANCE,
        RECORD_SUBSTANCE_ADMINISTRATION,
    ),
}


class Outcome(NamedTuple):
    """What became of an event; the study in which it is, of a procedural one that was logged."""

    status: int
    comment: str = ""
    study_instance_uid: str = ""
    patient_id: str = ""


class EventLogs(Protocol):
    """Who keeps events; an outcome of success or warning is durable when the call returns."""

    @property
    def operators(self) -> tuple[str, ...]:
        """Codes of those who may add administrations; none: everybody."""

    async def log_event(self, event: Attributes, calling_title: str) -> Outcome:
        """Put the events of a procedure into the log of their study."""

    async def log_administration(self, administration: Attributes, calling_title: str) -> Outcome:
        """Record an administration that Table P.3-2 has nothing against."""


class EventLoggingProvider:
    """Takes events of both classes, as SCP."""

    def __init__(self, logs: EventLogs) -> None:
        self._logs = logs

    def begin(self, request: IncomingRequest) -> MemorySink | None:
        return sink_for(request, frozenset((N_ACTION_RQ,)), "PS3.4 P.2.1, P.3.1")

    async def perform(self, request: IncomingRequest) -> Response:
        instance, action = _ACTIONS[request.context.abstract_syntax]
        if request.command.requested_sop_instance_uid != instance:
            return Response(NO_SUCH_SOP_INSTANCE, "Not the well-known instance")
        if request.command.elements.get(c.ACTION_TYPE_ID) != action:
            return Response(NO_SUCH_ACTION, "There is no such action")
        information = data_set_of(request)
        calling = request.association.calling_ae_title
        if request.context.abstract_syntax == SUBSTANCE_ADMINISTRATION_LOGGING:
            refused = refusal(information, self._logs.operators)
            if refused is not None:
                return refused
            done = await self._logs.log_administration(information, calling)
            return Response(done.status, f"{quoted(done.comment)}")
        done = await self._logs.log_event(information, calling)
        if category(done.status) not in (Category.SUCCESS, Category.WARNING):
            return Response(done.status, f"{quoted(done.comment)}")
        # Table P.2-4: the SCP names the study in any case.
        reply = Attributes(StudyInstanceUID=done.study_instance_uid, PatientID=done.patient_id)
        return Response(
            done.status, f"{quoted(done.comment)}", data_set=encoded(reply, request.context)
        )


def _provider(entity: Entity, support: Support) -> EventLoggingProvider:
    return EventLoggingProvider(support.events_of(entity))


SERVICE = Service(
    name="event-logging",
    meaning="N-ACTION: events of a procedure, substances that were administered",
    clause="P",
    roles=("scu", "scp"),
    sop_classes=frozenset((PROCEDURAL_EVENT_LOGGING, SUBSTANCE_ADMINISTRATION_LOGGING)),
    default_sop_classes=(PROCEDURAL_EVENT_LOGGING, SUBSTANCE_ADMINISTRATION_LOGGING),
    provider=_provider,
)
