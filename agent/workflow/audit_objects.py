"""Occasions about stored objects, for which the archive has to be asked whose they are.

Received objects are never forgotten: a file has, for each archive, the number up to which they were
told of; after a crash those above it are told of at the next start.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent import observation
from agent.archive.archive import Archive
from agent.archive.audit_records import AuditedStudy, NumberRanges
from agent.configuration.configuration import Configuration
from agent.errors import GantryError
from agent.loop import Event, Limit, TimedOut, now, sleep, timeout
from agent.security import audit_terms as terms
from agent.security.audit_message import SERIOUS_FAILURE, SUCCESS, AuditMessage
from agent.security.operators import asked_by
from agent.workflow.audit_participants import Us, patient_object, peer, study_object
from agent.workflow.audit_persons import by_person
from agent.workflow.audit_transfers import Transfer, TransferKey, Transfers

_AGAIN = 5.0
_MOST_QUESTIONS = 10_000
_MOST_BEGUN = 4096
_OF_US = frozenset(("folder", "capture", "import", "local", "fetch"))
"""What the index says of objects that came by no association that another opened."""

Make = Callable[[AuditedStudy], AuditMessage]


@dataclass(slots=True)
class _Question:
    """What the archive is asked, and what is made of each study of its answer."""

    archive: str
    make: Make
    transfer: Transfer | None = None
    ranges: tuple[tuple[int, int], ...] = ()
    level: str = ""
    uid: str = ""


class ObjectsHeard:
    """Turns what is heard of objects into messages for `record`."""

    def __init__(
        self,
        configuration: Callable[[], Configuration],
        us: Callable[[], Us],
        archives: Mapping[str, Archive],
        folder: Path,
        record: Callable[[AuditMessage], None],
    ) -> None:
        """`folder` has the files of what was told of."""
        self._configuration = configuration
        self._us = us
        self._archives = archives
        self._folder = folder
        self._record = record
        table = configuration().audit
        self._transfers = Transfers(table.gather, table.longest)
        self._questions: deque[_Question] = deque()
        self._begun: dict[tuple[str, str], float] = {}
        self._highest: dict[str, int] = {}
        self._lowest: dict[str, int] = {}
        self._told: dict[str, int] = {}
        self._changed = Event()
        self._asking = Limit(1)

    async def run(self) -> None:
        """Until cancelled."""
        for name, told in [(name, self._told_of(name)) for name in self._archives]:
            if told is not None:
                await self._find_untold(name, told)
        while True:
            self._changed.clear()
            table = self._configuration().audit
            self._transfers.gather, self._transfers.longest = table.gather, table.longest
            await self.settle()
            end = self._transfers.next_end()
            with suppress(TimedOut), timeout(3600.0 if end is None else max(0.01, end - now())):
                await self._changed.wait()

    def end(self) -> None:
        """What is under way is over."""
        self._transfers.end_all()

    async def before_deletion(self, archive: str, numbers: Sequence[int]) -> None:
        """Tell of these objects as long as the archive knows whose they are."""
        self._transfers.end_about(archive, numbers)
        await self.settle()

    async def settle(self) -> None:
        """Ask for what is over, and tell of it. While the index cannot be read, it waits."""
        await self._asking.acquire()
        try:
            await self._ask_all()
        finally:
            self._asking.release()

    async def _ask_all(self) -> None:
        while True:
            for each in self._transfers.take_over(now()):
                self._ask(
                    _Question(
                        each.key.archive,
                        self._transferred(each),
                        each,
                        tuple(each.numbers.ranges),
                    )
                )
            if not self._questions:
                return
            question = self._questions[0]
            archive = self._archives.get(question.archive)
            if archive is not None:
                try:
                    studies = await archive.audited_studies(
                        question.ranges, level=question.level, uid=question.uid
                    )
                except GantryError as error:
                    observation.warning("objects not audited yet", error=error)
                    await sleep(_AGAIN)
                    continue
                for study in studies:
                    self._record(question.make(study))
            self._questions.popleft()
            self._note_told(question.archive)

    # What is heard.

    def heard(self, event: str, fields: Mapping[str, Any]) -> None:
        """An event of the log, or an occasion."""
        hear = _HEARS.get(event)
        if hear is not None:
            hear(self, fields)
            self._changed.set()

    def _stored(self, fields: Mapping[str, Any]) -> None:
        origin, verdict, archive = fields["origin"], fields["verdict"], fields["archive"]
        if not verdict.is_stored or not verdict.instance_id:
            return
        number = verdict.instance_id
        key = TransferKey(
            archive,
            True,
            origin.called,
            origin.calling,
            origin.address,
            origin.association,
            "",
            # A.5.3.7: what was here already, and what comes under its UID with other bytes.
            "R" if verdict.duplicate else "U" if verdict.variant else "C",
            origin.source == "fetch",
            origin.move_originator,
        )
        if not verdict.duplicate:
            if self._told_of(archive) is None:
                self._write_told(archive, number - 1)
            self._highest[archive] = max(self._highest.get(archive, 0), number)
            self._lowest[archive] = min(self._lowest.get(archive, number), number)
        self._transfers.note(key, number, now(), time.time())

    def _goes_out(self, fields: Mapping[str, Any]) -> None:
        """The first object of a study for a peer: Begin Transferring DICOM Instances (A.5.3.3)."""
        job = fields["job"]
        name, study = job.destination, job.study_instance_uid
        if not study:
            return
        last = self._begun.get((name, study), 0.0)
        self._begun[name, study] = now()
        if last and now() - last < self._transfers.gather:
            return
        while len(self._begun) > _MOST_BEGUN:
            del self._begun[next(iter(self._begun))]
        anonymized = True if fields["deidentified"] else None
        ours, theirs, address = self._ends_of(name)

        def make(found: AuditedStudy) -> AuditMessage:
            us = self._us().participant(terms.SOURCE, titles=(ours,), requestor=True)
            other = peer(theirs, address, terms.DESTINATION)
            objects = (
                study_object(
                    found.study_instance_uid,
                    found.accession_number,
                    found.sop_classes if anonymized else (),
                    anonymized=anonymized,
                ),
                patient_object(found.patient_id, found.patient_name),
            )
            return AuditMessage(terms.BEGIN_TRANSFERRING, "E", when, (us, other), objects)

        when = time.time()
        number = job.instance_id
        self._ask(_Question(fields["archive"], make, ranges=((number, number),)))

    def _settled(self, fields: Mapping[str, Any]) -> None:
        job, reason = fields["job"], fields["reason"]
        if not job.study_instance_uid:
            return
        ours, theirs, address = self._ends_of(job.destination)
        key = TransferKey(
            fields["archive"],
            False,
            ours,
            theirs,
            address,
            "",
            job.study_instance_uid,
            "R",
            True,
            reason=reason,
            outcome=SERIOUS_FAILURE if reason else SUCCESS,
        )
        self._transfers.note(key, job.instance_id, now(), time.time())

    def _retrieved(self, fields: Mapping[str, Any]) -> None:
        """C-MOVE and C-GET: who asked is a third party of the first, and the receiver of the
        second."""
        instance, order = fields["instance"], fields["order"]
        if not instance.study_instance_uid:
            return
        asking = order.association
        moved = order.destination is not None
        key = TransferKey(
            fields["archive"],
            False,
            asking.called_ae_title,
            order.destination if moved else asking.calling_ae_title,
            "" if moved else asking.address,
            asking.identification,
            instance.study_instance_uid,
            "R",
            False,
            asking.calling_ae_title if moved else "",
            reason="" if fields["sent"] else "Objects were not sent",
            outcome=SUCCESS if fields["sent"] else SERIOUS_FAILURE,
        )
        self._transfers.note(key, instance.id, now(), time.time())

    def _association_ended(self, fields: Mapping[str, Any]) -> None:
        self._transfers.end_association(str(fields.get("association")))

    def _corrected(self, fields: Mapping[str, Any]) -> None:
        """Stored objects were given another identity (A.5.3.6)."""
        if fields["action"] != "re-identify":
            return
        when, person = time.time(), asked_by()

        def make(found: AuditedStudy) -> AuditMessage:
            who = (self._us().participant(requestor=True),)
            told = AuditMessage(terms.INSTANCES_ACCESSED, "U", when, who, _objects_of(found))
            return by_person(told, person)

        self._ask(_Question(fields["archive"].name, make, level=fields["level"], uid=fields["uid"]))

    # What is made of it.

    def _transferred(self, transfer: Transfer) -> Make:
        key = transfer.key

        def make(found: AuditedStudy) -> AuditMessage:
            mine, yours = terms.DESTINATION, terms.SOURCE
            if not key.received:
                mine, yours = yours, mine
            titles = (key.ours,) if key.ours else ()
            participants = [
                self._us().participant(mine, titles=titles, requestor=key.we_asked),
                peer(
                    key.theirs,
                    key.address,
                    yours,
                    requestor=not key.we_asked and not key.third,
                ),
            ]
            if key.third:
                participants.append(peer(key.third, "", requestor=not key.we_asked))
            return AuditMessage(
                terms.INSTANCES_TRANSFERRED,
                key.action,
                transfer.when,
                tuple(participants),
                _objects_of(found, key.anonymized),
                outcome=key.outcome,
                description=key.reason,
            )

        return make

    def _ends_of(self, name: str) -> tuple[str, str, str]:
        """Our AE title, that of the peer, and its address."""
        found = self._configuration().peer(name)
        if found is None:
            return "", name, ""
        address = found.addresses[0].host if found.addresses else ""
        return found.calling_title, found.title, address

    def _ask(self, question: _Question) -> None:
        if len(self._questions) >= _MOST_QUESTIONS:
            observation.error("objects not audited", archive=question.archive)
            return
        self._questions.append(question)
        self._changed.set()

    # What was told of.

    async def _find_untold(self, name: str, told: int) -> None:
        """What came in before a crash, above this number, and nobody told of."""
        try:
            found = await self._archives[name].unaudited_objects(told)
        except GantryError as error:
            observation.warning("objects not audited", archive=name, error=error)
            return
        # What came in while we asked is known.
        end = self._lowest.get(name, 1 << 62)
        for source, untold in found.items():
            ranges = [(first, min(last, end - 1)) for first, last in untold if first < end]
            if source in _OF_US or not ranges:
                continue
            key = TransferKey(name, True, "", source, "", "", "", "C", False)
            numbers = NumberRanges()
            numbers.ranges = ranges
            transfer = Transfer(key, 0.0, 0.0, time.time(), numbers)
            highest = max(last for _, last in ranges)
            self._highest[name] = max(self._highest.get(name, 0), highest)
            self._ask(_Question(name, self._transferred(transfer), transfer, tuple(ranges)))

    def _note_told(self, name: str) -> None:
        """All received objects below the first that is under way were told of."""
        if name not in self._highest:
            return
        under_way = [self._transfers.first_received(name)]
        for each in self._questions:
            if each.transfer is not None and each.transfer.key.received and each.archive == name:
                under_way += [first for first, _ in each.ranges]
        known = [each for each in under_way if each is not None]
        told = min(known) - 1 if known else self._highest[name]
        if told > self._told.get(name, -1):
            self._write_told(name, told)

    def _told_of(self, name: str) -> int | None:
        """The number up to which received objects were told of; None: none ever came."""
        if name not in self._told:
            with suppress(OSError):
                text = self._told_file(name).read_text().strip()
                if text.isdigit():
                    self._told[name] = int(text)
        return self._told.get(name)

    def _write_told(self, name: str, number: int) -> None:
        self._told[name] = number
        try:
            self._told_file(name).write_text(f"{number}\n")
        except OSError as error:
            observation.error("audit trail not kept", archive=name, error=error)

    def _told_file(self, name: str) -> Path:
        return self._folder / f"{name}.told"


def _objects_of(found: AuditedStudy, anonymized: bool | None = None) -> tuple[Any, ...]:
    return (
        study_object(
            found.study_instance_uid,
            found.accession_number,
            found.sop_classes,
            anonymized=anonymized,
        ),
        patient_object(found.patient_id, found.patient_name),
    )


_HEARS: Mapping[str, Callable[[ObjectsHeard, Mapping[str, Any]], None]] = {
    "object stored": ObjectsHeard._stored,
    "object goes out": ObjectsHeard._goes_out,
    "object settled": ObjectsHeard._settled,
    "object retrieved": ObjectsHeard._retrieved,
    "association ended": ObjectsHeard._association_ended,
    "correction": ObjectsHeard._corrected,
}
