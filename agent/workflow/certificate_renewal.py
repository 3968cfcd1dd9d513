"""Certificates of our own keys are renewed in time, where the key's table has an EST server.

A new key is made beside the one in use, and certified by showing the present certificate (RFC 7030
4.2.2); handshakes use both once they are proved, without a restart. Until then, and whatever goes
wrong, what is there goes on. It begins `[[key]] renew` before the end, a third of the certificate's
life at the earliest; what fails is tried again, ever later, and by chance at another moment than by
other boxes.
"""

from __future__ import annotations

import random
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from agent import observation
from agent.configuration.keys import NamedKey as Table
from agent.configuration.keys import certificate_file
from agent.errors import GantryError
from agent.loop.workers import WorkerDied, WorkerPool
from agent.quoting import Sentence, quoted
from agent.workflow.certificate_reading import Expiry
from hal.keys.base import KeyRefused, KeyStoreError

RENEWED = observation.metrics.counter(
    "gantry_certificate_renewals_total", "Renewals of certificates by EST", "key", "outcome"
)
_FIRST = 60.0
_FACTOR = 2.0
_LONGEST = 6 * 3600.0
_JITTER = 0.2
_PART = 3
"""Of a certificate's life, the last one of so many is for its renewal."""
_NEVER = float("inf")


@dataclass(slots=True)
class _Renewal:
    """One certificate: when it is to be renewed, and what became of that so far."""

    not_after: float
    due: float
    lead: float
    tries: int = 0
    problem: str = ""


class Outcome(NamedTuple):
    """What came of one try: `why` it failed, "" where it did not; whether the store `refused` us,
    which must not be tried again; and the seconds that the server wants us to wait."""

    why: Sentence = Sentence("")
    way_out: Sentence = Sentence("")
    refused: bool = False
    wait: float = 0.0
    until: float = 0.0


@dataclass(slots=True)
class CertificateRenewal:
    """All that are renewed, by the file of the certificate."""

    pool: WorkerPool
    _known: dict[str, _Renewal] = field(default_factory=dict)

    def follow(self, tables: Collection[Table], found: Collection[Expiry]) -> None:
        """What there is now; a certificate that is another than before begins anew."""
        files = {certificate_file(each): each for each in tables}
        known, self._known = self._known, {}
        for each in found:
            table = files.get(each.path)
            if table is None or each.problem:
                continue
            before = known.get(each.path)
            if before is None or before.not_after != each.not_after:
                lead = min(table.renew, (each.not_after - each.not_before) / _PART)
                due = each.not_after - lead + lead * _JITTER * random.random()
                if before is not None:
                    due = max(due, _halfway(each.not_after))
                before = _Renewal(each.not_after, due, lead)
            self._known[each.path] = before

    def forgive(self) -> None:
        """Somebody has changed something: what was given up is tried again."""
        for each in self._known.values():
            if each.due == _NEVER:
                each.due = 0.0

    def next_due(self) -> float:
        """The moment of the next try; infinity where there is none."""
        return min((each.due for each in self._known.values()), default=_NEVER)

    def said_of(self, file: str) -> str:
        """What goes wrong with the renewal of a certificate, for people; "" where nothing does."""
        found = self._known.get(file)
        return "" if found is None else found.problem

    async def renew(self, tables: Collection[Table]) -> bool:
        """Renew what is due; whether anything was."""
        files: Mapping[str, Table] = {certificate_file(each): each for each in tables}
        tried = False
        for file, each in self._known.items():
            table = files.get(file)
            if table is None or each.due > time.time():
                continue
            try:
                outcome: Outcome = await self.pool.call(renewed, table)
            except WorkerDied as error:
                outcome = Outcome(Sentence(f"{quoted(error)}"))
            tried = True
            self._judge(table, each, outcome)
        return tried

    def _judge(self, table: Table, renewal: _Renewal, outcome: Outcome) -> None:
        if not outcome.why:
            RENEWED.of(table.name, "done").add()
            renewal.due, renewal.tries, renewal.problem = _halfway(outcome.until), 0, ""
            day = time.strftime("%Y-%m-%d", time.gmtime(outcome.until))
            observation.info("certificate renewed", key=table.name, until=day)
            return
        RENEWED.of(table.name, "failed").add()
        wait = _NEVER if outcome.refused else self._wait(renewal, outcome.wait)
        renewal.tries += 1
        renewal.due, renewal.problem = time.time() + wait, outcome.why
        observation.warning(
            "certificate not renewed",
            key=table.name,
            why=outcome.why,
            way_out=outcome.way_out or None,
            again="never" if outcome.refused else f"in {wait:.0f} s",
        )

    def _wait(self, renewal: _Renewal, wanted: float) -> float:
        """Longer each time, but never so long that the certificate ends meanwhile."""
        wait = min(_FIRST * _FACTOR ** min(renewal.tries, 20), _LONGEST)
        left = renewal.not_after - time.time()
        if left > 0:
            wait = min(wait, max(1.0, left / 8))
        return max(wait * (1 + _JITTER * (2 * random.random() - 1)), min(wanted, _LONGEST))


def _halfway(not_after: float) -> float:
    """What was renewed is not renewed again before, however short its life: an authority that ends
    soon gives nothing that lasts longer."""
    now = time.time()
    return now + max(0.0, not_after - now) / 2


def renewed(table: Table) -> Outcome:
    """In a worker: one try. A key that was made for a try before is used again, with its request,
    for a person may just be agreeing to that."""
    # With them come the algorithms and OpenSSL.
    from agent.network.own_keys import named_key
    from agent.security.enrolment import EnrolmentPending, EnrolmentServer
    from agent.security.key_enrolment import enrolled, request_of
    from hal.keys.named_key import facts_of

    try:
        key = named_key(table)
        server = EnrolmentServer(table)
        with key.store:
            certificates = key.certificates()
            # Who can log in shows no certificate that nobody accepts any more.
            has_ended = bool(certificates) and facts_of(certificates[0]).not_after <= time.time()
            request = key.pending_request()
            if request is None:
                if len(key.store.slots) < 2:
                    key.renew(table.algorithm)
                request = request_of(table, key)
            again = not (has_ended and table.enrolment_user)
            facts = enrolled(server, table, key, request, again=again)
        return Outcome(until=facts.not_after)
    except EnrolmentPending as error:
        wanted = error.value if isinstance(error.value, int) else 0
        return Outcome(error.message, wait=wanted)
    except KeyStoreError as error:
        return Outcome(
            Sentence(f"the key {table.name} cannot be used: {error}"), refused=_refused(error)
        )
    except GantryError as error:
        return Outcome(error.message, error.way_out, refused=_refused(error.__cause__))


def _refused(error: BaseException | None) -> bool:
    """Some wrong PINs lock a token for good."""
    return isinstance(error, KeyRefused)
