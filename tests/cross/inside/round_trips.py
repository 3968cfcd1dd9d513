"""Every codec that is here, over frames of many kinds: what came out, as JSON.

    python tests/cross/inside/round_trips.py

It runs on each architecture, and the answers must be the same: a stream does not depend on the
processor that made it.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys

import agent
from agent.codecs.codec import EncodeSettings
from agent.codecs.registry import available, codec_of, has_kernel
from agent.dataset.transfer_syntaxes import TRANSFER_SYNTAXES
from tests.codecs.frames import damaged, decoded, description, encoded, picture, salvaged

DEPTHS = ((1, 8), (3, 8), (1, 10), (1, 12), (1, 16), (3, 16))
SIZES = ((1, 1), (17, 33), (40, 301))
KINDS = ("gradient", "noise", "edges")
SETTINGS = (
    EncodeSettings(),
    EncodeSettings(quality=35, near=7, level=9, predictor=6, optimised=False),
)
DAMAGED = 40


def digest(data: bytes) -> str:
    """Enough of a hash to tell one stream from another."""
    return hashlib.sha256(data).hexdigest()[:16]


def round_trips(transfer_syntax_uid: str) -> dict[str, dict[str, str | bool]]:
    """By case: digests of the native bytes, of the stream, and of what came back."""
    found: dict[str, dict[str, str | bool]] = {}
    codec = codec_of(transfer_syntax_uid)
    for samples, bits in DEPTHS:
        for rows, columns in SIZES:
            frame = description(rows, columns, samples=samples, bits_stored=bits)
            for number, settings in enumerate(SETTINGS):
                if codec.refusal(transfer_syntax_uid, frame, settings):
                    continue
                for kind in KINDS:
                    native = picture(frame, kind).tobytes()
                    stream = encoded(transfer_syntax_uid, frame, native, settings)
                    back = decoded(transfer_syntax_uid, frame, stream)
                    found[f"{samples} x {bits} bits, {rows} x {columns}, {kind}, {number}"] = {
                        "native": digest(native),
                        "stream": digest(stream),
                        "back": digest(back),
                        "same": back == native,
                    }
    return found


def damages(transfer_syntax_uid: str) -> list[str]:
    """What is salvaged of streams that are damaged, and what is said of them."""
    found = []
    frame = description(31, 45, samples=3)
    native = picture(frame, "edges").tobytes()
    stream = encoded(transfer_syntax_uid, frame, native)
    for broken in damaged(stream, 5, DAMAGED):
        try:
            rows, error = salvaged(transfer_syntax_uid, frame, broken)
        except Exception as raised:
            found.append(f"{type(raised).__name__}: {raised}")
        else:
            found.append(f"{digest(rows)} {error or ''}")
    return found


def report() -> dict[str, object]:
    """All of it, with what the machine says of itself."""
    return {
        "machine": platform.machine(),
        "package": agent.__file__,
        "kernel": has_kernel() and bool(__import__("agent.codecs.kernel")),
        "syntaxes": {
            uid: {
                "lossy": TRANSFER_SYNTAXES[uid].lossy,
                "round_trips": round_trips(uid),
                "damages": damages(uid),
            }
            for uid in available()
        },
    }


if __name__ == "__main__":
    json.dump(report(), sys.stdout)
