"""Studies that are retrieved by rule: priors of scheduled patients, and what is new at a peer.

A rule finds studies and has them retrieved (`fetches`), each once: what is in the archive, what
goes on, and what a person stopped is passed over. A peer that is away holds up no other.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path

from agent import observation
from agent.archive.archive import Archive
from agent.configuration.configuration import Configuration
from agent.configuration.fetching import Precache, Prefetch
from agent.dataset.attributes import Attributes
from agent.errors import GantryError, StorageError
from agent.loop import Event, TimedOut, now, timeout
from agent.loop.workers import WorkerPool
from agent.quoting import Sentence
from agent.workflow.fetch_record import COMPLETED, FetchRecord
from agent.workflow.fetches import Fetches
from agent.workflow.fetching import receiving_entity
from agent.workflow.kept_text import keep, kept
from agent.workflow.study_search import Searched, Sourced, StudySearch
from agent.workflow.worklist_watch import WorklistWatch

_DAY = 86400
_MOST_ANSWERS = 500
_UNTIL_HEARD = 1.0
_LONGEST_WAIT = 3600.0
"""Seconds after which a patient is looked for again where a peer was away, at most."""


class StudyRules:
    """The `[[prefetch]]` and `[[precache]]` of a node."""

    def __init__(
        self,
        configuration: Callable[[], Configuration],
        archives: Mapping[str, Archive],
        fetches: Fetches,
        search: StudySearch,
        worklist: WorklistWatch,
        pool: WorkerPool,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` gives the time of day in seconds: what today is."""
        self._configuration = configuration
        self._archives = archives
        self._fetches = fetches
        self._search = search
        self._worklist = worklist
        self._pool = pool
        self._clock = clock
        self._changed = Event()
        self._due: dict[tuple[str, str], float] = {}
        self._faults: dict[tuple[str, str], str] = {}
        self._prepared: set[str] | None = None
        self._again: dict[str, tuple[float, float]] = {}

    def reload(self) -> None:
        """Other rules may be due now."""
        self._due.clear()
        self._again.clear()
        self._faults.clear()
        self._changed.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._changed.clear()
            configuration = self._configuration()
            next_due = now() + 3600.0
            rules: list[Prefetch | Precache] = [*configuration.prefetches, *configuration.precaches]
            for rule in rules:
                place = (type(rule).__name__, rule.name)
                if self._due.get(place, 0.0) <= now():
                    try:
                        if isinstance(rule, Prefetch):
                            await self._prefetch(rule)
                        else:
                            await self._precache(rule)
                    except GantryError as error:
                        self._tell(rule, (), {"": str(error)})
                    waits = isinstance(rule, Prefetch) and not self._worklist.heard
                    self._due[place] = now() + (_UNTIL_HEARD if waits else rule.every)
                next_due = min(next_due, self._due[place])
            with suppress(TimedOut), timeout(max(0.01, next_due - now())):
                await self._changed.wait()

    # Prior studies.

    async def _prefetch(self, rule: Prefetch) -> None:
        await self._worklist.known()
        if self._prepared is None:
            self._prepared = await self._load()
        scheduled = {_name_of(rule, each): each for each in self._worklist.entries}
        scheduled.pop("", None)
        fresh = [name for name in scheduled if name not in self._prepared]
        away: set[str] = set()
        for name in fresh:
            due, wait = self._again.get(name, (0.0, rule.every))
            if due > now():
                continue
            away |= await self._prepare(rule, scheduled[name], away)
            if away:
                self._again[name] = (now() + wait, min(2 * wait, _LONGEST_WAIT))
            else:
                self._again.pop(name, None)
                self._prepared.add(name)
                await self._save()
        gone = {
            each
            for each in self._prepared
            if each.startswith(f"{rule.name}\\") and each not in scheduled
        }
        if gone and self._worklist.entries:
            self._prepared -= gone
            await self._save()

    async def _prepare(self, rule: Prefetch, entry: Attributes, away: Set[str]) -> Set[str]:
        """Have the priors of one patient retrieved, of peers that are not away; those that are."""
        configuration = self._configuration()
        peers = [each for each in rule.peers if each not in away]
        if not peers:
            return away
        keys = Attributes(PatientID=entry.text("PatientID"))
        if rule.days:
            keys.set("StudyDate", f"{_date(self._clock() - rule.days * _DAY)}-")
        found = await self._search.search(configuration, peers, keys, most=_MOST_ANSWERS)
        self._tell(rule, peers, found.faults)
        birth = entry.text("PatientBirthDate")
        chosen = [
            each
            for each in found.answers
            if each.values.text("StudyInstanceUID") != entry.text("StudyInstanceUID")
            and birth in ("", each.values.text("PatientBirthDate") or birth)
            and _has_modality(each, rule.modalities)
        ]
        chosen.sort(key=_moment, reverse=True)
        begun = 0
        for each in chosen:
            if begun == rule.most:
                break
            if rule.body_parts and not await self._has_body_part(each, rule.body_parts):
                continue
            begun += 1
            if not await self._is_here(each):
                await self._begin(each, f"prefetch {rule.name}")
        return found.faults.keys()

    async def _has_body_part(self, study: Sourced, wanted: Sequence[str]) -> bool:
        keys = Attributes(StudyInstanceUID=study.values.text("StudyInstanceUID"))
        found = await self._search.search(
            self._configuration(), study.sources[:1], keys, "SERIES", most=_MOST_ANSWERS
        )
        return any(each.values.text("BodyPartExamined") in wanted for each in found.answers)

    # What is new.

    async def _precache(self, rule: Precache) -> None:
        today = self._clock()
        first = _date(today - rule.days_before * _DAY)
        last = _date(today + rule.days_after * _DAY)
        keys = Attributes(StudyDate=first if first == last else f"{first}-{last}")
        configuration = self._configuration()
        found: Searched = await self._search.search(configuration, rule.peers, keys, most=rule.most)
        self._tell(rule, rule.peers, found.faults)
        if found.truncated:
            observation.warning(
                "precache cut",
                rule=rule.name,
                peers=Sentence(", ".join(found.truncated)),
                most=rule.most,
            )
        known = await self._fetches.known()
        for each in found.answers:
            patient = each.values.text("PatientID")
            if any(fnmatchcase(patient, pattern) for pattern in rule.skip):
                continue
            if not _has_modality(each, rule.modalities):
                continue
            before = known.get(each.values.text("StudyInstanceUID"))
            if before is not None and not _has_grown(each, before):
                continue
            if not await self._is_here(each):
                await self._begin(each, f"precache {rule.name}")

    # What both need.

    async def _is_here(self, study: Sourced) -> bool:
        """Whether the archive has it, with as many instances as its first source says."""
        configuration = self._configuration()
        peer = configuration.peer(study.sources[0])
        if peer is None:
            return True
        archive = self._archives[receiving_entity(configuration, peer).archive]
        uid = study.values.text("StudyInstanceUID")
        page = await archive.studies(study_instance_uid=uid)
        return bool(page.items) and page.items[0].instances >= _instances(study)

    async def _begin(self, study: Sourced, reason: str) -> None:
        uid = study.values.text("StudyInstanceUID")
        await self._fetches.begin(study.sources[0], uid, reason=reason)

    def _tell(
        self, rule: Prefetch | Precache, asked: Sequence[str], faults: Mapping[str, str]
    ) -> None:
        """Each fault once, as long as it is the same."""
        for peer in asked:
            if peer not in faults:
                self._faults.pop((rule.name, peer), None)
        for peer, fault in faults.items():
            if self._faults.get((rule.name, peer)) != fault:
                observation.warning(
                    "studies not looked for", rule=rule.name, peer=peer or None, error=fault
                )
        self._faults |= {(rule.name, peer): fault for peer, fault in faults.items()}

    @property
    def _file(self) -> str:
        return str(Path(self._configuration().node.state, "prefetched.json"))

    async def _load(self) -> set[str]:
        try:
            return set(json.loads(await self._pool.call(kept, self._file) or "[]"))
        except (GantryError, ValueError) as error:
            observation.warning(
                "kept prefetches cannot be read", file=Sentence(self._file), error=error
            )
            return set()

    async def _save(self) -> None:
        try:
            await self._pool.call(keep, self._file, json.dumps(sorted(self._prepared or ())))
        except StorageError as error:
            observation.warning("prefetches not kept", error=error)


def _name_of(rule: Prefetch, entry: Attributes) -> str:
    """What is prepared once: a rule, a patient, and the procedure that is scheduled."""
    patient = entry.text("PatientID")
    procedure = entry.text("StudyInstanceUID") or entry.text("AccessionNumber")
    return f"{rule.name}\\{patient}\\{procedure}" if patient else ""


def _has_modality(study: Sourced, wanted: Sequence[str]) -> bool:
    there = study.values.texts("ModalitiesInStudy")
    return not wanted or not there or not set(wanted).isdisjoint(there)


def _has_grown(study: Sourced, before: FetchRecord) -> bool:
    """Whether there is more of it than was retrieved; what a person stopped does not grow."""
    return before.state == COMPLETED and _instances(study) > before.expected


def _instances(study: Sourced) -> int:
    said = study.values.text("NumberOfStudyRelatedInstances")
    return int(said) if said.isdigit() else 1


def _moment(study: Sourced) -> tuple[str, str]:
    return study.values.text("StudyDate"), study.values.text("StudyTime")


def _date(at: float) -> str:
    return time.strftime("%Y%m%d", time.localtime(at))
