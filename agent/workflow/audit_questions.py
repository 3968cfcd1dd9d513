"""What persons ask of the node by its control socket, as messages: one table, by question.

What a question does at once is heard as an occasion like any other, and bears the person who asked
(`audit_persons`). Here is the rest: what is shown, and what a question changes without an occasion.
A question that shows the same is told once a minute. Memory: 256 such questions, 1,000 that wait
for the archive, and 1,000 imports and exports that somebody began.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from agent import observation
from agent.archive.archive import Archive
from agent.archive.audit_records import AuditedStudy
from agent.dataset.json_model import from_json
from agent.errors import GantryError
from agent.loop import Event, now
from agent.security import audit_terms as terms
from agent.security.audit_message import (
    SUCCESS,
    AuditMessage,
    AuditObject,
    Participant,
)
from agent.security.audit_terms import AuditTerm
from agent.security.operators import SEE, Person
from agent.workflow.audit_lists import LISTS, Asked, listed
from agent.workflow.audit_occasions import security_alert
from agent.workflow.audit_participants import Us, participant_of, patient_object, study_object

_QUIET, _MOST_SHOWN, _MOST_WAITING = 60.0, 256, 1000

TOLD_BY_OCCASIONS = frozenset(
    (
        "audit",
        "delete",
        "re-identify",
        "reload",
        "exam-start",
        "exam-finish",
        "exam-reconcile",
        "import-begin",
        "export-begin",
    )
)
"""What they do is an occasion with a message of its own, which names the person."""
BEGUN_BY_QUESTIONS = {"imported": "import-begin", "exported": "export-begin"}
"""Occasions of what takes long, by the question that began it."""
NOT_TOLD = frozenset(
    (
        # They show no patient, and change nothing.
        "status",
        "health",
        "metrics",
        "queue",
        "media",
        "certificates",
        "steps",
        # The rules of the configuration decide what goes, and that is told of.
        "tidy",
        # What was done by then is told of when it is over.
        "import-stop",
        "export-stop",
        "fetch-stop",
        "fetch-hold",
        "fetch-retry",
        "media-release",
    )
)


class _Lookup(NamedTuple):
    """Objects that a question was about; the archive knows whose they are."""

    archive: str
    make: Callable[[AuditedStudy], AuditMessage]
    level: str = ""
    uid: str = ""
    numbers: tuple[tuple[int, int], ...] = ()


# What is asked about one patient.


def _about(
    us: Us,
    asked: Asked,
    event: AuditTerm,
    action: str,
    patient: tuple[str, str],
    study: AuditObject,
    description: str = "",
) -> AuditMessage:
    return AuditMessage(
        event,
        action,
        asked.when,
        (us.participant(), participant_of(asked.person)),
        (study, patient_object(*patient)),
        description=description,
    )


_PROCEDURES = {"exam-show": "R", "exam-append": "U", "exam-series": "U"}
_EXPOSURES = {
    "capture": (terms.INSTANCES_ACCESSED, "C"),
    "exam-capture": (terms.PROCEDURE_RECORD, "U"),
}
_OBJECTS = {"instances": "R", "send-again": "R", "exam-review": "U"}
_ALERTS = {
    "pause": "Delivery to {} was stopped",
    "resume": "Delivery to {} goes on",
}

TOLD_HERE = frozenset((*LISTS, *_PROCEDURES, *_EXPOSURES, *_OBJECTS, *_ALERTS)) | {
    "step",
    "retry",
    "hold",
    "drop",
    "fetch-begin",
}


class QuestionsHeard:
    """Turns what is heard of questions into messages for `record`."""

    def __init__(
        self,
        us: Callable[[], Us],
        archives: Mapping[str, Archive],
        record: Callable[[AuditMessage], None],
    ) -> None:
        self._us = us
        self._archives = archives
        self._record = record
        self._shown: dict[tuple[int, str, str], float] = {}
        self._waiting: deque[_Lookup] = deque()
        self._begun: dict[tuple[str, int], Person] = {}
        self._changed = Event()

    def who_began(self, occasion: str, fields: Mapping[str, Any]) -> Person | None:
        """The person who asked for the import or export that is over; None after a restart."""
        return self._begun.pop((occasion, fields["record"].id), None)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._changed.clear()
            await self.settle()
            await self._changed.wait()

    async def settle(self) -> None:
        """Ask the archive whose the objects were, and tell of them."""
        while self._waiting:
            await self._look_up(self._waiting.popleft())

    async def _look_up(self, lookup: _Lookup) -> None:
        archive = self._archives.get(lookup.archive)
        if archive is None:
            return
        try:
            found = await archive.audited_studies(
                lookup.numbers, level=lookup.level, uid=lookup.uid
            )
        except GantryError as error:
            observation.error("question not audited", archive=lookup.archive, error=error)
            return
        for study in found:
            self._record(lookup.make(study))

    def heard(self, fields: Mapping[str, Any]) -> None:
        """A question was answered, or failed."""
        request, error = fields["request"], fields.get("error")
        asked = Asked(
            fields["name"],
            request["by"],
            request,
            fields.get("answer"),
            str(error) if error is not None else "",
            time.time(),
        )
        if asked.name in SEE and self._was_shown(asked):
            return
        if asked.name in LISTS:
            self._record(listed(self._us(), asked))
        elif not asked.failure:
            for message in self._done(asked):
                self._record(message)

    def delivery(self, person: Person | None, fields: Mapping[str, Any]) -> None:
        """A person changes what becomes of a job."""
        job = fields["job"]
        if person is None:
            return
        asked = Asked("delivery", person, {}, None, "", time.time())
        said = f"Delivery to {job.destination}: {fields['how']}"
        numbers = ((job.instance_id, job.instance_id),)
        self._look_for(asked, fields["archive"], "R", said, numbers=numbers)

    def _done(self, asked: Asked) -> Iterator[AuditMessage]:
        name, request, us = asked.name, asked.request, self._us()
        if name in BEGUN_BY_QUESTIONS.values():
            self._note_begun(asked)
        elif name in _ALERTS:
            text = _ALERTS[name].format(request["destination"])
            who = participant_of(asked.person)
            yield security_alert(us, terms.NETWORK_CONFIGURATION, SUCCESS, text, participant=who)
        elif name in _PROCEDURES:
            found = asked.answer
            patient = found["patient_id"], found["patient_name"]
            study = study_object(found["study_instance_uid"])
            yield _about(us, asked, terms.PROCEDURE_RECORD, _PROCEDURES[name], patient, study)
        elif name == "step":
            step = from_json(asked.answer)
            patient = step.text("PatientID"), step.text("PatientName")
            for item in step.items_of("ScheduledStepAttributesSequence")[:1]:
                study = study_object(item.text("StudyInstanceUID"))
                yield _about(us, asked, terms.PROCEDURE_RECORD, "R", patient, study)
        elif name == "fetch-begin":
            yield self._fetched(asked)
        elif name in _EXPOSURES:
            self._look_for_exposures(asked)
        elif name in _OBJECTS:
            level, uid = str(request.get("level") or "instance"), str(request.get("uid") or "")
            if name == "instances":
                level, uid = "study", str(request["study_instance_uid"])
            said = f"To be sent again to {request['destination']}" if name == "send-again" else ""
            self._look_for(asked, self._archive_of(asked), _OBJECTS[name], said, level, uid)

    def _fetched(self, asked: Asked) -> AuditMessage:
        """A.5.3.3: whose they are is not known before they are here."""
        studies = tuple(study_object(str(each)) for each in asked.request["studies"])
        source = Participant(str(asked.request["peer"]), (terms.SOURCE,))
        us = self._us().participant(terms.DESTINATION)
        participants = (source, us, participant_of(asked.person))
        objects = (*studies, patient_object(""))
        return AuditMessage(terms.BEGIN_TRANSFERRING, "E", asked.when, participants, objects)

    def _look_for_exposures(self, asked: Asked) -> None:
        classes: dict[str, int] = {}
        for each in asked.answer:
            classes[each.sop_class_uid] = classes.get(each.sop_class_uid, 0) + 1
        event, action = _EXPOSURES[asked.name]

        def make(found: AuditedStudy) -> AuditMessage:
            made = tuple(classes.items()) if event is terms.INSTANCES_ACCESSED else ()
            study = study_object(found.study_instance_uid, found.accession_number, made)
            patient = found.patient_id, found.patient_name
            return _about(self._us(), asked, event, action, patient, study)

        if asked.answer:
            # Which archive the device has is not said: where the object is, it is found.
            for name in self._archives:
                uid = asked.answer[0].sop_instance_uid
                self._wait(_Lookup(name, make, "instance", uid))

    def _look_for(
        self,
        asked: Asked,
        archive: str,
        action: str,
        description: str,
        level: str = "",
        uid: str = "",
        numbers: tuple[tuple[int, int], ...] = (),
    ) -> None:
        def make(found: AuditedStudy) -> AuditMessage:
            study = study_object(
                found.study_instance_uid, found.accession_number, found.sop_classes
            )
            patient = found.patient_id, found.patient_name
            event = terms.INSTANCES_ACCESSED
            return _about(self._us(), asked, event, action, patient, study, description)

        self._wait(_Lookup(archive, make, level, uid, numbers))

    def _wait(self, lookup: _Lookup) -> None:
        if len(self._waiting) >= _MOST_WAITING:
            observation.error("question not audited", archive=lookup.archive)
            return
        self._waiting.append(lookup)
        self._changed.set()

    def _archive_of(self, asked: Asked) -> str:
        return str(asked.request.get("archive") or next(iter(self._archives), ""))

    def _note_begun(self, asked: Asked) -> None:
        found = asked.answer["items"] if asked.name == "import-begin" else [asked.answer]
        occasion = next(key for key, name in BEGUN_BY_QUESTIONS.items() if name == asked.name)
        for each in found:
            self._begun[occasion, int(each["id"])] = asked.person
        while len(self._begun) > _MOST_WAITING:
            del self._begun[next(iter(self._begun))]

    def _was_shown(self, asked: Asked) -> bool:
        """Whether this person was shown the same a moment ago."""
        request = {name: value for name, value in asked.request.items() if name != "by"}
        key = (asked.person.user, asked.name, json.dumps(request, sort_keys=True, default=str))
        last = self._shown.get(key)
        if last is not None and now() - last < _QUIET:
            return True
        self._shown.pop(key, None)
        while len(self._shown) >= _MOST_SHOWN:
            del self._shown[next(iter(self._shown))]
        self._shown[key] = now()
        return False
