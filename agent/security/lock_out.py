"""Lock-out after failures, and how many connections a host may make a second.

Memory: the latest `MOST` hosts, titles and users that failed, some hundred bytes each; those that
are shut out are the last to be forgotten.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator

from agent import observation
from agent.configuration.access import LockOut
from agent.quoting import Sentence

MOST = 4096
KINDS = ("host", "title", "user")

LOCKED_TOTAL = observation.metrics.counter(
    "gantry_access_locked_out_total", "Hosts, titles and users shut out after failures", "kind"
)


class _Failures:
    """`count` of them since a moment; shut out until another."""

    __slots__ = ("count", "since", "until")

    def __init__(self, since: float, until: float = 0.0) -> None:
        self.since = since
        self.until = until
        self.count = 0


class LockOuts:
    """Counts failures by host, calling AE title and user; `now` is a clock in seconds."""

    def __init__(self, table: LockOut, now: Callable[[], float]) -> None:
        self.table = table
        self._now = now
        self._failures: dict[str, dict[str, _Failures]] = {kind: {} for kind in KINDS}

    def failed(self, **who: str) -> None:
        """Note a failure of `host`, `title`, `user`: those that are given and not empty."""
        now = self._now()
        for kind, name in who.items():
            most = getattr(self.table, kind)
            if not (name and most):
                continue
            known = self._failures[kind]
            name = _key(kind, name)
            # The one that failed last stands last.
            entry = known.pop(name, None)
            if entry is None or now - entry.since > self.table.window:
                until = entry.until if entry is not None else 0.0
                entry = _Failures(now, until)
            if len(known) >= MOST:
                self._forget_one(known, now)
            known[name] = entry
            entry.count += 1
            if entry.count >= most and entry.until <= now:
                entry.count, entry.since = 0, now
                entry.until = now + self.table.duration
                LOCKED_TOTAL.of(kind).add()
                observation.warning(
                    "access.locked_out", kind=kind, who=Sentence(name), seconds=self.table.duration
                )

    def succeeded(self, user: str) -> None:
        """The user proved who it is: what failed before was a mistake."""
        entry = self._failures["user"].get(user)
        if entry is not None and entry.until <= self._now():
            del self._failures["user"][user]

    def is_shut_out(self, kind: str, name: str) -> bool:
        known = self._failures[kind]
        if not (known and name and getattr(self.table, kind)):
            return False
        entry = known.get(_key(kind, name))
        return entry is not None and entry.until > self._now()

    def listing(self) -> list[dict[str, object]]:
        """Who is shut out now, and for how many seconds more."""
        now = self._now()
        return [
            {"kind": kind, "who": name, "seconds": round(entry.until - now)}
            for kind, name, entry in self._each()
            if entry.until > now and getattr(self.table, kind)
        ]

    def _each(self) -> Iterator[tuple[str, str, _Failures]]:
        for kind, known in self._failures.items():
            for name, entry in known.items():
                yield kind, name, entry

    @staticmethod
    def _forget_one(known: dict[str, _Failures], now: float) -> None:
        free = (name for name, entry in known.items() if entry.until <= now)
        del known[next(free, next(iter(known)))]


class ConnectionRate:
    """Connections of each host in this second."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._second = 0
        self._counts: dict[str, int] = {}

    def exceeds(self, host: str, most: int) -> int:
        """By how many the host is above `most` with the connection that it makes now."""
        second = int(self._now())
        if second != self._second or len(self._counts) >= MOST:
            self._second, self._counts = second, {}
        count = self._counts[host] = self._counts.get(host, 0) + 1
        return count - most


def _key(kind: str, name: str) -> str:
    """One subscriber has a /64 of IPv6 at least: addresses within it cost nothing."""
    if kind != "host" or ":" not in name:
        return name
    try:
        address = ipaddress.IPv6Address(name.partition("%")[0])
    except ValueError:
        return name
    return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
