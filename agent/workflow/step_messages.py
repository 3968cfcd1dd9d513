"""The messages that follow from the beginning and the end of a step that we perform."""

from __future__ import annotations

from collections.abc import Sequence

from agent.archive.decision import JobPlan, order_of
from agent.archive.records import Instance
from agent.configuration.configuration import Configuration
from agent.dataset.uid import new_uid
from agent.services.instance_availability import AvailableObject, availability
from agent.workflow.examination_record import ExaminationRecord
from agent.workflow.performed_step import step_begun, step_ended
from agent.workflow.step_report import StepReport

Messages = list[tuple[JobPlan, int]]
"""Jobs, each with the order among which it stands."""


def messages_at_begin(
    configuration: Configuration, record: ExaminationRecord, modality: str, station_name: str = ""
) -> Messages:
    """The N-CREATE of the last step (F.7), to all who are told of steps."""
    title = configuration.entities[0].title if configuration.entities else "GANTRY"
    attributes = step_begun(
        record,
        modality,
        title,
        station_name or configuration.node.name[:16],
        configuration.steps,
    )
    return _to_peers(configuration, StepReport("create", record.step.uid, attributes))


def messages_at_end(
    configuration: Configuration, record: ExaminationRecord, made: Sequence[Instance]
) -> Messages:
    """The final N-SET, and that the objects are available where somebody wants to know (R)."""
    title = configuration.steps.retrieve_title or _first_title(configuration)
    ended = step_ended(record, made, title)
    messages = _to_peers(configuration, StepReport("set", record.step.uid, ended))
    if made and configuration.steps.available:
        objects = [
            AvailableObject(e.series_instance_uid, e.sop_class_uid, e.sop_instance_uid)
            for e in made
        ]
        told = availability(
            record.study_instance_uid, objects, title, performed_step_uid=record.step.uid
        )
        for peer in configuration.steps.available:
            plan = StepReport("available", new_uid(), told).plan(peer)
            messages.append((plan, order_of(record.step.uid)))
    return messages


def _to_peers(configuration: Configuration, report: StepReport) -> Messages:
    return [(report.plan(peer), order_of(report.uid)) for peer in configuration.steps.peers]


def _first_title(configuration: Configuration) -> str:
    """Of the first peer that a route delivers to."""
    for route in configuration.routes:
        for name in route.deliver:
            peer = configuration.peer(name)
            if peer is not None:
                return peer.title
    return ""
