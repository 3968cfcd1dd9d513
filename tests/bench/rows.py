"""What is compared with what, and the aim of each comparison."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench.measuring import Pair

SMALL, MEDIUM, LARGE = "32 KiB", "512 KiB", "1 GiB"
NETWORK_LOADS = (SMALL, MEDIUM, LARGE)
DURABLE_LOADS = (SMALL, MEDIUM)
FREE = "gantry listen --no-sync"
SYNCED = "gantry listen"
NODE = "gantry run"

PLAIN_BOTH = Pair("storescu", "storescp", stalls=True)
PLAIN_TO_US = Pair("storescu", FREE)
US_TO_PLAIN = Pair("gantry send", "storescp")
TUNED_BOTH = Pair("storescu tuned", "storescp tuned")
TUNED_TO_BIT_PRESERVING = Pair("storescu tuned", "storescp tuned +B")
TUNED_TO_US = Pair("storescu tuned", FREE)
TUNED_TO_PYNETDICOM = Pair("storescu tuned", "pynetdicom")
US_TO_TUNED = Pair("gantry send", "storescp tuned +B")
US_TO_US = Pair("gantry send", FREE)
PYNETDICOM_TO_TUNED = Pair("pynetdicom", "storescp tuned +B", stalls=True)
PYNETDICOM_TO_US = Pair("pynetdicom", FREE)


def durable(receiver: str, senders: int = 1) -> Pair:
    """The same sender into a receiver that makes objects safe."""
    return Pair("storescu tuned", receiver, senders, on_disk=True)


@dataclass(frozen=True, slots=True)
class Row:
    """`ours` shall be at least `aim` times as fast as `other`; without an aim it is only told."""

    part: str
    what: str
    load: str
    ours: Pair
    other: Pair
    aim: float | None


def _network(
    part: str, what: str, ours: Pair, other: Pair, aims: tuple[float | None, ...]
) -> Iterator[Row]:
    for load, aim in zip(NETWORK_LOADS, aims, strict=True):
        yield Row(part, what, load, ours, other, aim)


def _durable() -> Iterator[Row]:
    one = durable(FREE)
    for receiver in (SYNCED, NODE):
        for load, of_free, of_orthanc in ((SMALL, None, 1.5), (MEDIUM, 0.45, 2.5)):
            mine = durable(receiver)
            what = f"{receiver}, 1 sender"
            yield Row("durable", f"{what} : not durable", load, mine, one, of_free)
            yield Row("durable", f"{what} : Orthanc", load, mine, durable("orthanc"), of_orthanc)
    for receiver in (SYNCED, NODE):
        for load, of_free in ((SMALL, 0.5), (MEDIUM, None)):
            mine = durable(receiver, 8)
            what = f"{receiver}, 8 senders"
            free, orthanc = durable(FREE, 8), durable("orthanc", 8)
            yield Row("durable", f"{what} : not durable", load, mine, free, of_free)
            yield Row("durable", f"{what} : Orthanc", load, mine, orthanc, None)


ROWS: tuple[Row, ...] = (
    *_network(
        "receive",
        "(a) from storescu as installed : storescp as installed",
        PLAIN_TO_US,
        PLAIN_BOTH,
        (100, None, None),
    ),
    *_network(
        "receive",
        "(b) from storescu tuned : storescp tuned",
        TUNED_TO_US,
        TUNED_BOTH,
        (1, 1, 1),
    ),
    *_network(
        "receive",
        "(b) the same : storescp tuned, not even reading what it stores (+B)",
        TUNED_TO_US,
        TUNED_TO_BIT_PRESERVING,
        (None, None, None),
    ),
    *_network(
        "receive",
        "(c) from storescu tuned : pynetdicom",
        TUNED_TO_US,
        TUNED_TO_PYNETDICOM,
        (6, 4, None),
    ),
    *_network(
        "send",
        "(a) to storescp as installed : storescu as installed",
        US_TO_PLAIN,
        PLAIN_BOTH,
        (100, None, None),
    ),
    *_network(
        "send",
        "(b) to storescp tuned +B : storescu tuned",
        US_TO_TUNED,
        TUNED_TO_BIT_PRESERVING,
        (1, 1, 1),
    ),
    *_network(
        "send",
        "(c) to storescp tuned +B : pynetdicom",
        US_TO_TUNED,
        PYNETDICOM_TO_TUNED,
        (6, 4, None),
    ),
    *_network(
        "send",
        "(c) to gantry listen, no stall : pynetdicom",
        US_TO_US,
        PYNETDICOM_TO_US,
        (6, 4, None),
    ),
    *_durable(),
)


def pairs_of(load: str, parts: frozenset[str]) -> list[Pair]:
    """All pairs that the rows of a load need, each once, in the order of the rows."""
    wanted = [row for row in ROWS if row.load == load and row.part in parts]
    return list(dict.fromkeys(pair for row in wanted for pair in (row.other, row.ours)))
