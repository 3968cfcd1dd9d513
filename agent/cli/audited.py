"""Commands that show or change what is of a patient, or how the node is secured, are audited too.

With a node on this machine that has an audit trail, its queue gets their messages, whether it runs
or not; without, the journal gets them. The person who types is the requestor. A command goes on
where neither is there: `gantry send` of an engineer's machine has nobody to tell.
"""

from __future__ import annotations

import argparse
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from agent import observation
from agent.security import audit_terms as terms
from agent.security.audit_message import (
    MINOR_FAILURE,
    SERIOUS_FAILURE,
    SUCCESS,
    AuditMessage,
    AuditSource,
    Participant,
)
from agent.security.audit_syslog import NOTICE, WARNING, Recorded, Sender, journal_entry
from agent.security.audit_told import tell, told_folder
from agent.security.operators import Person, account_of
from agent.workflow.audit_files import FilesGathered, Gathered, Way
from agent.workflow.audit_occasions import OCCASIONS, security_alert
from agent.workflow.audit_participants import Us, patient_object, peer, study_object
from agent.workflow.audit_persons import by_person

STATE = Path("/var/lib/gantry")
JOURNAL = Path("/run/systemd/journal/socket")
_FACILITY = 10  # as PS3.15 A.6 wants it

Record = Callable[[AuditMessage], None]


def add_audit_option(parser: argparse.ArgumentParser) -> None:
    """`audit_into`: the state folder of the node whose audit trail is told."""
    parser.add_argument(
        "--audit-into",
        metavar="FOLDER",
        type=Path,
        default=STATE,
        help="state folder of the node in whose audit trail this is told; where it has none, the"
        " journal is (default %(default)s)",
    )


@contextmanager
def audited(command: str, options: argparse.Namespace) -> Iterator[None]:
    """What the command does within is told of."""
    record = _recorder(options.audit_into)
    if record is None:
        yield
        return
    told = _Told(command, options, record)
    before = observation.log.watcher, observation.log.is_audited
    observation.log.watcher, observation.log.is_audited = told.heard, True
    reason = ""
    try:
        yield
    except BaseException as error:
        reason = str(error) or type(error).__name__
        raise
    finally:
        observation.log.watcher, observation.log.is_audited = before
        told.end(reason)


def _recorder(state: Path) -> Record | None:
    """Who keeps messages; None where nobody does."""
    folder = told_folder(state)
    if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):

        def to_node(message: AuditMessage) -> None:
            tell(folder, message)

        return to_node
    return _to_journal if JOURNAL.exists() else None


_numbers = count(1)


def _to_journal(message: AuditMessage) -> None:
    severity = NOTICE if message.outcome == SUCCESS else WARNING
    xml = message.xml(AuditSource(socket.gethostname(), "", "2")).encode("utf-8", "replace")
    recorded = Recorded(next(_numbers), message.when, severity, xml)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.connect(str(JOURNAL))
        end.send(journal_entry(recorded, Sender(socket.gethostname(), _FACILITY)))


def person_here() -> Person:
    """Who runs this command."""
    user = os.getuid()
    return Person(user, frozenset(), account_of(user))


class _Told:
    """One run of a command."""

    def __init__(self, command: str, options: argparse.Namespace, record: Record) -> None:
        self._command = command
        self._options = options
        self._record = record
        title = getattr(options, "calling", "")
        self._us = Us(socket.gethostname(), (title,) if title else ())
        self._person = person_here()
        self._files = FilesGathered(self._of_files)
        self._process = os.getpid()
        self._failed = False
        self._reason = ""

    def heard(self, event: str, fields: Mapping[str, Any]) -> None:
        """An occasion within the command. Never raises: what is audited must go on."""
        if os.getpid() != self._process:
            return
        try:
            if event == "file":
                way = Way(*(str(fields.get(name) or "") for name in Way._fields))
                self._files.note(way, fields["file"])
            elif event == "step here":
                self._say(self._of_step(fields))
            elif event == "query":
                for message in OCCASIONS[event](self._us, fields):
                    self._say(message)
        except Exception as error:
            self._complain(error)

    def end(self, reason: str) -> None:
        """The command is over; `reason` is why it failed."""
        self._reason = reason
        try:
            self._files.end()
            for message in _of_security(self._us, self._command, self._options, reason):
                self._say(message)
        except Exception as error:
            self._complain(error)

    def _say(self, message: AuditMessage, *, asked: bool = True) -> None:
        self._record(by_person(message, self._person) if asked else message)

    def _complain(self, error: Exception) -> None:
        if not self._failed:
            self._failed = True
            observation.warning("command not audited", error=error)

    def _of_files(self, files: Gathered) -> None:
        way = files.way
        if way.act == "written":
            self._say(self._of_medium(files))
            return
        for study, patient in files.objects():
            event, action = terms.INSTANCES_ACCESSED, "R"
            participants: tuple[Participant, ...] = (self._us.participant(requestor=True),)
            if way.act in ("sent", "received"):
                event = terms.INSTANCES_TRANSFERRED
                action = "R" if way.act == "sent" else "C"
                participants = self._ends(way)
            message = AuditMessage(
                event,
                action,
                files.when,
                participants,
                (study, patient),
                outcome=SERIOUS_FAILURE if way.reason else SUCCESS,
                description=way.reason or (way.act if event is terms.INSTANCES_ACCESSED else ""),
            )
            self._say(message, asked=not (way.act == "received" and self._command == "listen"))

    def _ends(self, way: Way) -> tuple[Participant, ...]:
        mine, yours = terms.SOURCE, terms.DESTINATION
        if way.act == "received":
            mine, yours = yours, mine
        listens = self._command == "listen"
        if self._command == "get":
            # Over an association that we opened.
            host = self._options.peer[0]
            way = way._replace(title=self._options.called, address=host)
        us = self._us.participant(mine, requestor=not listens)
        return us, peer(way.title, way.address, yours, requestor=listens)

    def _of_medium(self, files: Gathered) -> AuditMessage:
        """A.5.3.4: all that is on it now, in one message."""
        where = Path(files.way.address).absolute().as_uri()
        medium = Participant(where, (terms.DESTINATION_MEDIA,), media=terms.URI_MEDIA)
        found = list(files.objects())
        patients = dict.fromkeys(patient for _, patient in found)
        return AuditMessage(
            terms.EXPORT,
            "R",
            files.when,
            (self._us.participant(terms.SOURCE, requestor=True), medium),
            (*(study for study, _ in found), *patients),
            outcome=SERIOUS_FAILURE if self._reason else SUCCESS,
            description=self._reason,
        )

    def _of_step(self, fields: Mapping[str, Any]) -> AuditMessage:
        """A.5.3.15; of a step that is changed only its UID is known, and not whose it is."""
        step = fields["step"]
        uids = (
            each.text("StudyInstanceUID")
            for each in step.items_of("ScheduledStepAttributesSequence")
        )
        return AuditMessage(
            terms.PROCEDURE_RECORD,
            fields["action"],
            time.time(),
            (self._us.participant(requestor=True),),
            (
                *(study_object(uid) for uid in dict.fromkeys(filter(None, uids))),
                patient_object(step.text("PatientID"), step.text("PatientName")),
            ),
            outcome=SERIOUS_FAILURE if fields["failed"] else SUCCESS,
        )


_KEY_ACTS = frozenset(("create", "csr", "install", "enrol", "renew", "delete"))


def _of_security(
    us: Us, command: str, options: argparse.Namespace, reason: str
) -> Iterator[AuditMessage]:
    """A.5.3.11: keys, trust and passcodes were changed, or should have been."""
    act = getattr(options, "act", "")
    kind, what = terms.SECURITY_CONFIGURATION, ""
    if command == "keys" and act in _KEY_ACTS:
        what = f"Key {options.name}: {act}"
    elif command == "keys" and act == "trust" and options.trust_act != "list":
        what = f"Trust of {options.group}: {options.trust_act}"
    elif command == "access" and act == "passcode":
        kind, what = terms.USER_SECURITY_ATTRIBUTES_CHANGED, f"Passcode of {options.user}"
    if what:
        text = f"{what} failed: {reason}" if reason else what
        yield security_alert(us, kind, MINOR_FAILURE if reason else SUCCESS, text)
