"""Whether a peer's certificate was revoked, as its OCSP responder says: asked by a worker, and
remembered as long as the answer holds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from agent import observation
from agent.network.ocsp import Standing, ask
from agent.network.stream import HandshakeFailed
from agent.quoting import Sentence

if TYPE_CHECKING:
    from agent.configuration.connection import Tls
    from agent.loop.workers import WorkerPool

_REMEMBERED = 1000
"""Certificates at most, two kilobytes each."""

_PEER, _AUTHORITY = "the peer's certificate", "the certificate of an authority above the peer"

_pool: WorkerPool | None = None
_answers: dict[tuple[bytes, str], Standing] = {}
"""By certificate, and the responder that is configured."""


def ask_by(pool: WorkerPool | None) -> None:
    """Whose workers ask from now on; None: this process itself, as commands do."""
    global _pool
    _pool = pool


async def check(chain: Sequence[bytes], tls: Tls, address: str) -> None:
    """After a handshake: refuse a certificate that was revoked. `chain` is in DER, the peer's own
    first, whom we trust last; where it is wanted, all between are asked about too.

    Raises HandshakeFailed for one that is revoked; with ocsp = "required", also for one of which
    that cannot be known.
    """
    if tls.ocsp == "off" or not chain:
        return
    if len(chain) < 2:
        _judge(Standing("unknown", 0.0, "it is its own authority"), _PEER, tls, address)
    wanted = len(chain) - 1 if tls.ocsp_of_authorities else 1
    for number, (asked, above) in enumerate(pairwise(chain[: wanted + 1])):
        whose = _AUTHORITY if number else _PEER
        _judge(await _standing(asked, above, tls.ocsp_responder), whose, tls, address)


def _judge(standing: Standing, whose: str, tls: Tls, address: str) -> None:
    if standing.state == "good":
        return
    if standing.state == "revoked":
        raise HandshakeFailed(
            f"{whose} was revoked",
            clause="RFC 6960",
            peers_fault=True,
            way_out="Its owner needs a new one.",
        )
    observation.warning(
        "revocation unknown", address=address, of=Sentence(whose), why=Sentence(standing.why)
    )
    if tls.ocsp == "required":
        raise HandshakeFailed(
            f"whether {whose} was revoked is not known: {standing.why}",
            clause="RFC 6960",
            way_out='Put its responder right, or write ocsp = "when-reachable".',
        )


async def _standing(asked: bytes, above: bytes, responder: str) -> Standing:
    known = _answers.get((asked, responder))
    if known is not None and time.time() < known.until:
        return known
    if _pool is None:
        found = ask(asked, above, responder)
    else:
        found = await _pool.call(ask, asked, above, responder)
    _answers.pop((asked, responder), None)
    while len(_answers) >= _REMEMBERED:
        del _answers[next(iter(_answers))]
    _answers[asked, responder] = found
    return found
