"""The worklist as we last heard it: asked for again and again, and kept on disk with its age.

An examination goes on while the network is down: entries are those of the last answer, and
whoever looks at them is told how old they are.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from agent import observation
from agent.configuration.configuration import Configuration
from agent.configuration.procedure import Worklist
from agent.dataset.attributes import Attributes
from agent.dataset.json_model import from_json, to_json
from agent.errors import GantryError, LocalError, PeerError, StorageError
from agent.loop import Event, Limit, TimedOut, timeout, turn
from agent.loop.workers import WorkerPool
from agent.network.association import Association
from agent.network.negotiation import propose
from agent.network.resolution import Resolve
from agent.network.status import SUCCESS
from agent.quoting import Sentence, quoted
from agent.services.modality_worklist import (
    OF_STEP,
    find_worklist,
    worklist_extended,
    worklist_identifier,
    worklist_need,
)
from agent.workflow.kept_text import keep, kept
from agent.workflow.opening import Opening
from agent.workflow.turns import Turns

AGE = observation.metrics.gauge(
    "gantry_worklist_heard_seconds", "Time of the last answer to our worklist query", "peer"
)
_STEP = "ScheduledProcedureStepSequence"
_DAY = 86400


class WorklistWatch:
    """Asks the configured peer, and answers what is known."""

    def __init__(
        self,
        configuration: Callable[[], Configuration],
        pool: WorkerPool,
        resolve: Resolve | None = None,
        turns: Turns | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` gives the time of day in seconds: which days are asked for, and the age."""
        self.entries: list[Attributes] = []
        self.heard = 0.0
        self.last_reason = ""
        self._configuration = configuration
        self._pool = pool
        self._resolve = resolve
        self._turns = turns or Turns()
        self._clock = clock
        self._asking = Limit(1)
        self._loading = Limit(1)
        self._is_loaded = False
        self._changed = Event()
        self._opening: tuple[object, Opening] | None = None

    @property
    def table(self) -> Worklist:
        return self._configuration().worklist

    @property
    def _file(self) -> Path:
        return Path(self._configuration().node.state, "worklist-heard.json")

    def reload(self) -> None:
        """The configuration has changed: ask anew."""
        self._changed.set()

    async def run(self) -> None:
        """Until cancelled: read what was kept, then ask as often as configured."""
        while not self.table.peer:
            self._changed.clear()
            await self._changed.wait()
        await self.known()
        while True:
            self._changed.clear()
            if self.table.peer and self.table.every:
                with suppress(GantryError):
                    await self.refresh()
            with suppress(TimedOut), timeout(self.table.every or 86400.0):
                await self._changed.wait()

    async def known(self) -> None:
        """Until it is read what was kept, which a start does meanwhile."""
        await self._loading.acquire()
        try:
            if self.table.peer and not self._is_loaded:
                await self._load()
                self._is_loaded = True
        finally:
            self._loading.release()

    async def refresh(self, **keys: str) -> list[Attributes]:
        """Ask now; with keys, for those only, and nothing is kept.

        Raises LocalError where no peer is configured, PeerError when it does not answer as it
        should: then the entries stay as they are, and so does their age.
        """
        await self._asking.acquire()
        try:
            found = await self._ask(keys)
        except GantryError as error:
            if str(error) != self.last_reason:
                observation.warning("worklist not heard", peer=self.table.peer, error=error)
            self.last_reason = str(error)
            raise
        finally:
            self._asking.release()
        if not keys:
            self.entries, self.heard, self.last_reason = found, self._clock(), ""
            AGE.of(self.table.peer).set(self.heard)
            await self._save()
        return found

    def find(self, **keys: str) -> list[Attributes]:
        """Known entries with exactly these values by keyword, of the entry or of its step."""
        return [
            entry
            for entry in self.entries
            if all(
                value in (entry.item_of(_STEP) if keyword in OF_STEP else entry).texts(keyword)
                for keyword, value in keys.items()
            )
        ]

    def say(self) -> dict[str, Any]:
        """The entries as JSON, with what a person should know of their age."""
        age = self._clock() - self.heard if self.heard else None
        if not self.table.peer:
            said = "no peer is configured to be asked for a worklist"
        elif age is None:
            said = f"{self.table.peer} has not answered yet"
        else:
            count = len(self.entries)
            entries = "1 entry" if count == 1 else f"{count} entries"
            said = f"{entries} of {self.table.peer}, {_duration(age)} old"
        if self.last_reason:
            said += f"; the last try failed: {self.last_reason}"
        return {
            "entries": [to_json(each) for each in self.entries],
            "heard": self.heard,
            "age": age,
            "reason": self.last_reason,
            "said": said,
        }

    async def _ask(self, keys: dict[str, str]) -> list[Attributes]:
        configuration = self._configuration()
        peer = configuration.peer(self.table.peer)
        if peer is None:
            raise LocalError(
                "No peer is configured to be asked for a worklist.",
                way_out='Add [worklist] with peer = "NAME" to the configuration.',
            )
        table = self.table
        identifier = worklist_identifier(keys or self._keys(), table.character_set)
        extended = worklist_extended(fuzzy=table.fuzzy)
        association: Association = await self._opening_to(peer).open(
            configuration,
            propose([worklist_need()])[0],
            extended=(extended,) if extended is not None else (),
        )
        try:
            found = await find_worklist(association, identifier, most=table.most)
            await association.release()
        except BaseException:
            association.abort()
            raise
        if found.response.status != SUCCESS and not found.truncated:
            raise PeerError(
                f"the worklist was refused: {quoted(found.response.words)}",
                value=found.response.status,
            )
        if found.truncated:
            observation.warning("worklist cut", peer=peer.name, most=table.most)
        return found.matches

    def _opening_to(self, peer: object) -> Opening:
        if self._opening is None or self._opening[0] != peer:
            self._opening = (peer, Opening(peer, self._resolve, self._turns))  # type: ignore[arg-type]
        return self._opening[1]

    def _keys(self) -> dict[str, str]:
        table, today = self.table, self._clock()
        keys = {}
        if table.station:
            keys["ScheduledStationAETitle"] = table.station
        if table.modality:
            keys["Modality"] = table.modality
        if not table.any_day:
            first = _date(today - table.days_before * _DAY)
            last = _date(today + table.days_after * _DAY)
            keys["ScheduledProcedureStepStartDate"] = first if first == last else f"{first}-{last}"
        return keys

    async def _save(self) -> None:
        entries = []
        for each in self.entries:
            entries.append(to_json(each))
            await turn()
        text = json.dumps({"heard": self.heard, "entries": entries}, ensure_ascii=False)
        try:
            await self._pool.call(keep, str(self._file), text)
        except StorageError as error:
            observation.warning("worklist not kept", error=error)

    async def _load(self) -> None:
        try:
            text = await self._pool.call(kept, str(self._file))
            if text and not self.heard:
                data = json.loads(text)
                self.entries = [from_json(each) for each in data["entries"]]
                self.heard = float(data["heard"])
        except (GantryError, ValueError, KeyError) as error:
            observation.warning(
                "kept worklist cannot be read", file=Sentence(str(self._file)), error=error
            )


def _date(at: float) -> str:
    return time.strftime("%Y%m%d", time.localtime(at))


def _duration(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0, seconds):.0f} s"
