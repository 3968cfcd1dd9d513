"""Objects that somebody shall send us because we asked for them by a C-MOVE.

They come like all others, over associations that the peer opens (PS3.4 C.4.2.2). Here they are
told from the rest: by the instance, or by the study and series that they are of, and by the Move
Originator where the peer says it (PS3.7 9.1.1.1). An entity with the policy `solicited` takes no
others.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from agent import observation
from agent.archive.decision import Origin, Verdict
from agent.configuration.entity import Entity
from agent.configuration.route import FETCHED
from agent.errors import PeerError, StatusReaction
from agent.quoting import Sentence
from agent.services import keeping

_NOT_ASKED_FOR = Sentence("Object was not asked for")


class Expectation:
    """What one retrieval waits for: a study, or of it one series, or some instances.

    `received` counts objects that came and are kept, also those that were here before.
    """

    __slots__ = ("calling_title", "entity", "instances", "received", "series", "study")

    def __init__(
        self,
        entity: str,
        calling_title: str,
        study: str,
        series: str = "",
        instances: frozenset[str] = frozenset(),
    ) -> None:
        """`calling_title` is the AE title under which it is asked for."""
        self.entity = entity
        self.calling_title = calling_title
        self.study = study
        self.series = series
        self.instances = instances
        self.received = 0

    def is_of(self, origin: Origin, study: str, series: str) -> bool:
        """Whether this object is meant."""
        # Who has asked for it (PS3.7 9.1.1.1); some archives name themselves there.
        if origin.move_originator not in ("", self.calling_title, origin.calling):
            return False
        if self.study != study or (self.series and self.series != series):
            return False
        return not self.instances or origin.sop_instance_uid in self.instances


class ExpectedObjects:
    """All that a node waits for now."""

    def __init__(self) -> None:
        self._expected: list[Expectation] = []

    @contextmanager
    def expecting(self, expectation: Expectation) -> Iterator[Expectation]:
        """It is waited for as long as the block lasts."""
        self._expected.append(expectation)
        try:
            yield expectation
        finally:
            self._expected.remove(expectation)

    def at(self, entity: str) -> list[Expectation]:
        """What shall come to this entity."""
        return [each for each in self._expected if each.entity == entity]


class ExpectingKeeper:
    """A keeper that tells what was asked for from what was not."""

    def __init__(self, keeper: keeping.Keeper, entity: Entity, expected: ExpectedObjects) -> None:
        self._keeper = keeper
        self._entity = entity
        self._expected = expected

    def refusal(self) -> StatusReaction | None:
        if self._entity.accept.solicited and not self._expected.at(self._entity.name):
            return StatusReaction(self._entity.status.unsolicited, _NOT_ASKED_FOR)
        return self._keeper.refusal()

    def receive(self, file_meta: bytes) -> Any:
        return self._keeper.receive(file_meta)

    async def commit(self, reception: Any, origin: Origin) -> keeping.Verdict:
        found = self._found(reception.descriptor, origin)
        if found is None and self._entity.accept.solicited:
            reception.discard()
            observation.warning(
                "object was not asked for",
                association=origin.association,
                calling=origin.calling,
                sop_instance_uid=origin.sop_instance_uid,
            )
            return Verdict(self._entity.status.unsolicited, _NOT_ASKED_FOR)
        if found is not None:
            origin = origin._replace(source=FETCHED)
        verdict = await self._keeper.commit(reception, origin)
        if found is not None and (verdict.status == 0 or verdict.status & 0xF000 == 0xB000):
            found.received += 1
        return verdict

    def _found(self, descriptor: int, origin: Origin) -> Expectation | None:
        expected = self._expected.at(self._entity.name)
        if not expected:
            return None
        study, series = _place_of(descriptor)
        return next((each for each in expected if each.is_of(origin, study, series)), None)


def _place_of(descriptor: int) -> tuple[str, str]:
    """Study and Series Instance UID of what was received; "" for what cannot be read."""
    # Imported where something was asked for: most nodes ask for nothing.
    from agent.dataset.byte_source import FileBytes
    from agent.dataset.file_meta import read_file_meta
    from agent.dataset.head import scan_head
    from agent.dataset.tags import SERIES_INSTANCE_UID, STUDY_INSTANCE_UID

    try:
        meta = read_file_meta(descriptor)
        source = FileBytes(descriptor, meta.data_set_offset)
        wanted = frozenset((STUDY_INSTANCE_UID, SERIES_INSTANCE_UID))
        values = scan_head(source, meta.encoding, wanted).values
    except PeerError:
        return "", ""
    study, series = (
        values.get(tag, b"").rstrip(b"\0 ").decode("ascii", "replace")
        for tag in (STUDY_INSTANCE_UID, SERIES_INSTANCE_UID)
    )
    return study, series
