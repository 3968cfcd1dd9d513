"""Security alerts, in bounds: who knocks a thousand times a second must not fill the audit trail.

The first of a kind is told at once; those like it within a minute are counted, and told in one
message that says how many they were. Memory: 256 kinds; more of them wait for nothing, and are
counted together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from agent.loop import now, sleep
from agent.security.audit_message import AuditMessage

_QUIET = 60.0
_LOOKS = 1.0
_MOST_KINDS = 256


@dataclass(slots=True)
class _Repeated:
    message: AuditMessage
    until: float
    more: int = 0


class Alerts:
    """Passes alerts on to `record`."""

    def __init__(self, record: Callable[[AuditMessage], None], quiet: float = _QUIET) -> None:
        self._record = record
        self._quiet = quiet
        self._kinds: dict[object, _Repeated] = {}

    def note(self, messages: Iterable[AuditMessage]) -> None:
        """Each is told now, or counted."""
        for message in messages:
            kind: object = (message.event, message.types, message.description, message.participants)
            if kind not in self._kinds and len(self._kinds) >= _MOST_KINDS:
                kind = "others"
            known = self._kinds.get(kind)
            if known is None:
                self._kinds[kind] = _Repeated(message, now() + self._quiet)
                self._record(message)
            else:
                known.more += 1
                known.message = message

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await sleep(_LOOKS)
            for kind, each in list(self._kinds.items()):
                if each.until <= now():
                    self._tell(kind, each)

    def end(self) -> None:
        """All that was counted is told."""
        for kind, each in list(self._kinds.items()):
            self._tell(kind, each)

    def _tell(self, kind: object, each: _Repeated) -> None:
        del self._kinds[kind]
        if each.more:
            said = f"{each.message.description} ({each.more} more times)"
            self._record(replace(each.message, description=said))
