"""The person who asked for what happened, in the message of it (PS3.15 A.5.3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from agent.security import audit_terms as terms
from agent.security.audit_events import faults
from agent.security.audit_message import AuditMessage
from agent.security.operators import Person
from agent.workflow.audit_participants import participant_of

_ROLES = {terms.EXPORT: terms.SOURCE, terms.IMPORT: terms.DESTINATION}


def by_person(message: AuditMessage, person: Person | None) -> AuditMessage:
    """The same event, of which this person is the requestor; as it is where nobody asked for it.

    Some events have room for two participants only: where an operator is named already who was
    typed in, the account stands for it and bears that name.
    """
    if person is None:
        return message
    role = _ROLES.get(message.event)
    mine = participant_of(person, *((role,) if role is not None else ()))
    others = tuple(replace(each, requestor=False) for each in message.participants)
    told = replace(message, participants=(*others, mine))
    if not list(faults(told)):
        return told
    asking = [each for each in message.participants if each.requestor]
    named = replace(mine, name=asking[0].name or mine.name) if asking else mine
    rest = tuple(each for each in message.participants if not each.requestor)
    return replace(message, participants=(*rest, named))


def all_by(messages: Iterable[AuditMessage], person: Person | None) -> Iterator[AuditMessage]:
    """The same for each of them."""
    for each in messages:
        yield by_person(each, person)
