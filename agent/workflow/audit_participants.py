"""Who took part in an event and what it was about, as audit messages name them (PS3.15 A.5.2)."""

from __future__ import annotations

import os
from dataclasses import dataclass

from agent.security.audit_message import AuditObject, ObjectKind, Participant
from agent.security.audit_terms import AuditTerm
from agent.security.operators import Person


@dataclass(frozen=True, slots=True)
class Us:
    """What messages say of this node: `address` is the same in all (A.5.2.4)."""

    address: str
    titles: tuple[str, ...] = ()

    def participant(
        self,
        *roles: AuditTerm,
        titles: tuple[str, ...] = (),
        requestor: bool = False,
    ) -> Participant:
        """Our process; its User ID is its process ID, as the journal has it (A.5.2.1)."""
        return Participant(
            str(os.getpid()),
            roles,
            requestor,
            titles or self.titles,
            name="gantry",
            address=self.address,
        )


def peer(
    title: str, address: str, *roles: AuditTerm, requestor: bool = False, user: str = ""
) -> Participant:
    """Another application entity."""
    return Participant(
        user or title or address or "unknown",
        roles,
        requestor,
        (title,) if title else (),
        address=address,
    )


def participant_of(person: Person, *roles: AuditTerm) -> Participant:
    """A person at this machine, who asked for something."""
    return Participant(
        person.account, roles, True, alternative=f"uid={person.user}", name=person.account
    )


def patient_object(patient_id: str, name: str = "") -> AuditObject:
    """The patient that an event was about."""
    return AuditObject(ObjectKind.PATIENT, patient_id, name)


def study_object(
    uid: str,
    accession_number: str = "",
    sop_classes: tuple[tuple[str, int], ...] = (),
    *,
    steps: tuple[str, ...] = (),
    anonymized: bool | None = None,
) -> AuditObject:
    """A study; what describes it is left out where no SOP class is known (Table A.5.2-1)."""
    if not sop_classes:
        return AuditObject(ObjectKind.STUDY, uid, uid)
    numbers = (accession_number,) if accession_number else ()
    return AuditObject(
        ObjectKind.STUDY,
        uid,
        uid,
        accession_numbers=numbers,
        steps=steps,
        sop_classes=sop_classes,
        anonymized=anonymized,
    )
