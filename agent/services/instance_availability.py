"""Instance Availability Notification, both roles (PS3.4 Annex R).

One N-CREATE tells that objects can be had, where, and how fast. It carries nothing beyond Table
R.3.2-1: no patient, no procedure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from agent import observation
from agent.configuration.entity import Entity
from agent.dataset.attributes import Attributes
from agent.dataset.sop_classes import INSTANCE_AVAILABILITY_NOTIFICATION
from agent.network.association import Association, IncomingRequest, Response
from agent.network.commands import N_CREATE_RQ, n_create_rq
from agent.network.data_set import MemorySink
from agent.network.negotiation import ContextNeed
from agent.network.status import SUCCESS
from agent.services.data_sets import (
    MESSAGE_SYNTAXES,
    context_for,
    data_set_of,
    encoded,
    sink_for,
)
from agent.services.performed_procedure_step import MISSING_ATTRIBUTE
from agent.services.service import Service, Support

ONLINE, NEARLINE, OFFLINE, UNAVAILABLE = "ONLINE", "NEARLINE", "OFFLINE", "UNAVAILABLE"
AVAILABILITIES = frozenset((ONLINE, NEARLINE, OFFLINE, UNAVAILABLE))

_REQUIRED = ("StudyInstanceUID", "ReferencedSeriesSequence")
_REQUIRED_OF_OBJECT = (
    "ReferencedSOPClassUID",
    "ReferencedSOPInstanceUID",
    "InstanceAvailability",
    "RetrieveAETitle",
)


@dataclass(frozen=True, slots=True)
class AvailableObject:
    """One object of a study, by its series."""

    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str


def availability(
    study_instance_uid: str,
    objects: Iterable[AvailableObject],
    retrieve_ae_title: str,
    *,
    state: str = ONLINE,
    performed_step_uid: str = "",
) -> Attributes:
    """The attributes of Table R.3.2-1, and no others (R.3.2.1.2)."""
    series: dict[str, list[Attributes]] = {}
    for each in objects:
        series.setdefault(each.series_instance_uid, []).append(
            Attributes(
                ReferencedSOPClassUID=each.sop_class_uid,
                ReferencedSOPInstanceUID=each.sop_instance_uid,
                InstanceAvailability=state,
                RetrieveAETitle=retrieve_ae_title,
            )
        )
    made = Attributes(StudyInstanceUID=study_instance_uid)
    steps = []
    if performed_step_uid:
        steps.append(
            Attributes.of(
                {
                    "ReferencedSOPClassUID": "1.2.840.10008.3.1.2.3.3",
                    "ReferencedSOPInstanceUID": performed_step_uid,
                    "PerformedWorkitemCodeSequence": [],
                }
            )
        )
    made.set("ReferencedPerformedProcedureStepSequence", steps)
    made.set(
        "ReferencedSeriesSequence",
        [
            Attributes.of({"SeriesInstanceUID": uid, "ReferencedSOPSequence": items})
            for uid, items in series.items()
        ],
    )
    return made


def availability_need() -> ContextNeed:
    """What has to be negotiated."""
    return ContextNeed(INSTANCE_AVAILABILITY_NOTIFICATION, MESSAGE_SYNTAXES)


async def notify_availability(
    association: Association, sop_instance_uid: str, notification: Attributes
) -> Response:
    """N-CREATE; the UID of the notification is ours to give (R.3.2.1.2). Raises PeerError."""
    context = context_for(
        association, INSTANCE_AVAILABILITY_NOTIFICATION, "Instance Availability Notification"
    )
    command = n_create_rq(
        association.next_message_id(), INSTANCE_AVAILABILITY_NOTIFICATION, sop_instance_uid
    )
    return await association.request(context, command, encoded(notification, context))


class Availabilities(Protocol):
    """Who is told what has become available elsewhere."""

    async def noted(self, notification: Attributes, calling_title: str) -> None:
        """A peer told us. Raises StorageError where that cannot be kept."""


class AvailabilityProvider:
    """Takes notifications, as SCP."""

    def __init__(self, availabilities: Availabilities) -> None:
        self._availabilities = availabilities

    def begin(self, request: IncomingRequest) -> MemorySink | None:
        return sink_for(request, frozenset((N_CREATE_RQ,)), "PS3.4 R.3.1")

    async def perform(self, request: IncomingRequest) -> Response:
        notification = data_set_of(request)
        absent = lacking(notification)
        if absent:
            return Response(MISSING_ATTRIBUTE, f"Missing: {', '.join(absent)}")
        calling = request.association.calling_ae_title
        await self._availabilities.noted(notification, calling)
        observation.info(
            "instances available",
            association=request.association.identification,
            calling=calling,
            **_counts(notification),
        )
        return Response(SUCCESS)


def lacking(notification: Attributes) -> list[str]:
    """Keywords of type 1 of Table R.3.2-1 that a notification has no value for."""
    absent = [each for each in _REQUIRED if not notification.has(each)]
    for series in notification.items_of("ReferencedSeriesSequence"):
        absent += [
            each for each in ("SeriesInstanceUID", "ReferencedSOPSequence") if not series.has(each)
        ]
        for item in series.items_of("ReferencedSOPSequence"):
            absent += [each for each in _REQUIRED_OF_OBJECT if not item.has(each)]
    return list(dict.fromkeys(absent))


def _counts(notification: Attributes) -> Mapping[str, int]:
    series = notification.items_of("ReferencedSeriesSequence")
    return {
        "series": len(series),
        "instances": sum(len(each.items_of("ReferencedSOPSequence")) for each in series),
    }


def _provider(entity: Entity, support: Support) -> AvailabilityProvider:
    return AvailabilityProvider(support.availabilities_of(entity))


SERVICE = Service(
    name="availability",
    meaning="N-CREATE: what can be retrieved where",
    clause="R",
    roles=("scu", "scp"),
    sop_classes=frozenset((INSTANCE_AVAILABILITY_NOTIFICATION,)),
    default_sop_classes=(INSTANCE_AVAILABILITY_NOTIFICATION,),
    provider=_provider,
)
