"""Watches when certificates expire, our own and those we trust, and tells it in time.

In the log once a day, on the panel by the lamp `certificates` (slow: soon, fast: expired, or one
that cannot be read), and in `gantry status`. Files are read by a worker. Certificates from an EST
server are renewed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from agent import observation
from agent.configuration.configuration import Configuration
from agent.configuration.connection import DAY, Tls
from agent.configuration.keys import NamedKey, certificate_file
from agent.loop import Event, TimedOut, timeout
from agent.loop.workers import Template, WorkerPool
from agent.network import tls_ending
from agent.quoting import Sentence

if TYPE_CHECKING:
    from agent.workflow.certificate_reading import Expiry
    from agent.workflow.certificate_renewal import CertificateRenewal
    from hal.panel.base import Pattern

REMAINING = observation.metrics.gauge(
    "gantry_certificate_remaining_seconds", "Time until a certificate expires", "file"
)
LAMP = "certificates"
_LOOKS = 6 * 3600.0
_WARN = 30 * DAY
"""For certificates of files, which have no table that says it."""


class CertificateWatch:
    """All certificates of a node. It also has keys in tokens and TPMs used by other processes."""

    def __init__(
        self, configuration: Callable[[], Configuration], template: Template, pool: WorkerPool
    ) -> None:
        self._configuration = configuration
        self._template = template
        self._pool = pool
        self._endings = tls_ending.TlsEndings(template)
        self._changed = Event()
        self._seen = Event()
        self._told: dict[tuple[str, str], float] = {}
        """When it was last said of a file how it is."""
        self._found: list[dict[str, Any]] = []
        self._renewal: CertificateRenewal | None = None
        """Made where a key has an EST server."""

    def prepare(self, configuration: Configuration) -> None:
        """Before TLS is touched, at start and at a reload."""
        if any(True for _ in _all_tls(configuration)):
            self._template.stay()
        tls_ending.use(self._endings)
        if any(each.ocsp != "off" for each in _all_tls(configuration)):
            # With the table of answers: only where somebody is asked.
            from agent.network.revocation import ask_by

            ask_by(self._pool)
        for entity in configuration.entities:
            if entity.port and entity.tls is not None:
                self._endings.begin(entity.tls)
        if self._renewal is not None:
            self._renewal.forgive()
        self._changed.set()

    def listing(self) -> list[dict[str, Any]]:
        """What was found when they were last looked at: file, subject, days left, mood, problem,
        and why a renewal failed."""
        return self._found

    async def run(self) -> None:
        """Until cancelled. Nothing is done while there are no certificates."""
        while True:
            self._changed.clear()
            await self.look()
            if self._renewal is not None and await self._renewal.renew(self._renewed()):
                await self.look()
            try:
                with timeout(self._pause()):
                    await self._changed.wait()
            except TimedOut:
                continue

    def _pause(self) -> float:
        """Until they are looked at again, or one is to be renewed."""
        due = self._renewal.next_due() if self._renewal is not None else float("inf")
        return min(_LOOKS, max(0.0, due - time.time()))

    def _renewed(self) -> list[NamedKey]:
        """Keys in use whose certificates are renewed here."""
        return [each for each in _keys_in_use(self._configuration()) if each.enrolment]

    async def look(self) -> list[dict[str, Any]]:
        """Read them now; the listing."""
        warnings = _places(self._configuration())
        found: list[Expiry] = []
        if warnings:
            from agent.workflow.certificate_reading import expiries

            found = await self._pool.call(expiries, list(warnings))
        renewed = self._renewed()
        if renewed:
            from agent.workflow.certificate_renewal import CertificateRenewal

            self._renewal = self._renewal or CertificateRenewal(self._pool)
        if self._renewal is not None:
            self._renewal.follow(renewed, found)
        moment = time.time()
        self._found = [self._judged(each, warnings, moment) for each in found]
        now = {(each["file"], each["mood"]) for each in self._found}
        self._told = {each: when for each, when in self._told.items() if each in now}
        self._seen.set()
        return self._found

    def _judged(self, each: Expiry, warnings: dict[str, float], moment: float) -> dict[str, Any]:
        folder = each.path.rpartition("/")[0]
        warn = warnings.get(each.path, warnings.get(folder, _WARN))
        left = each.not_after - moment
        renewal = ""
        if self._renewal is not None and each.path in map(certificate_file, self._renewed()):
            # It is renewed before; of one with a short life nobody wants to hear all the time.
            warn = min(warn, (each.not_after - each.not_before) / 6)
            renewal = self._renewal.said_of(each.path)
        mood = "good"
        if each.problem:
            mood = "bad"
        elif left <= 0:
            mood = "expired"
        elif left <= warn:
            mood = "soon"
        if not each.problem:
            REMAINING.of(each.path).set(int(left))
        if mood != "good" and moment - self._told.get((each.path, mood), 0.0) >= DAY - _LOOKS / 2:
            self._told[each.path, mood] = moment
            self._tell(each, mood, left)
        return {
            "file": each.path,
            "subject": each.subject,
            "days": round(left / DAY, 1) if not each.problem else None,
            "mood": mood,
            "problem": each.problem,
            "renewal": renewal,
        }

    def _tell(self, each: Expiry, mood: str, left: float) -> None:
        if mood == "bad":
            observation.warning(
                "certificate unreadable", file=Sentence(each.path), why=Sentence(each.problem)
            )
        elif mood == "expired":
            observation.error("certificate expired", file=Sentence(each.path), subject=each.subject)
        else:
            days = round(left / DAY, 1)
            observation.warning(
                "certificate expires soon",
                file=Sentence(each.path),
                subject=each.subject,
                days=days,
            )

    async def follow(self, show: Callable[[Pattern], None]) -> None:
        """Until cancelled: show how it is on the panel."""
        from hal.panel.base import Pattern

        while True:
            self._seen.clear()
            moods = {each["mood"] for each in self._found}
            urgent = moods & {"bad", "expired"}
            show(Pattern.FAST if urgent else Pattern.SLOW if "soon" in moods else Pattern.OFF)
            await self._seen.wait()


def _all_tls(configuration: Configuration) -> Iterator[Tls]:
    entities = [each.tls for each in configuration.entities]
    peers = [each.tls for each in configuration.peers]
    yield from (each for each in entities + peers if each is not None)


def _places(configuration: Configuration) -> dict[str, float]:
    """Files and folders with certificates, and the time before their end at which to warn."""
    found: dict[str, float] = {}
    for tls in _all_tls(configuration):
        found.update(dict.fromkeys((*filter(None, (tls.certificate,)), *tls.trust), _WARN))
    found.update((certificate_file(each), each.warn) for each in _keys_in_use(configuration))
    return found


def _keys_in_use(configuration: Configuration) -> list[NamedKey]:
    used = {tls.key_name for tls in _all_tls(configuration)}
    return [each for each in configuration.keys if each.name in used]
