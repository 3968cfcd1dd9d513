"""The fuzz targets over their seeds and some changes of them; MINUTES with `gantry test --fuzz`."""

from __future__ import annotations

import time
from itertools import islice

import pytest

from agent.errors import PeerError
from tests.fuzz.mutation import mutations
from tests.fuzz.target import Target, TooMuchMemory, TooMuchTime, judge
from tests.fuzz.targets.table import TARGETS

_SLOWER = 8.0
"""Whoever else uses the machine, and the measuring of memory."""
_SECONDS = 0.4
_LEAST = 50

every_target = pytest.mark.parametrize("name", TARGETS)


@every_target
def test_seeds_and_their_changes_do_no_harm(name: str) -> None:
    target = TARGETS[name]
    seeds = [each[: target.longest] for each in target.seeds()]
    taken = sum(judge(target, each, slower=_SLOWER) for each in seeds)
    assert taken, "no seed gets through: the target tests nothing behind the first check"
    end = time.process_time() + _SECONDS
    for number, data in enumerate(mutations(seeds, 1, target.longest, target.mutate)):
        if number >= _LEAST and time.process_time() > end:
            break
        judge(target, data, slower=_SLOWER)


@every_target
def test_memory_is_bounded(name: str) -> None:
    target = TARGETS[name]
    seeds = [each[: target.longest] for each in target.seeds()]
    step = max(1, len(seeds) // 8)
    for data in (*seeds[::step], *islice(mutations(seeds, 2, target.longest, target.mutate), 12)):
        judge(target, data, slower=10 * _SLOWER, memory=True)


@pytest.mark.fuzz
@every_target
def test_minutes_of_changes_do_no_harm(name: str, fuzz_minutes: int) -> None:
    target = TARGETS[name]
    seeds = [each[: target.longest] for each in target.seeds()]
    end = time.monotonic() + fuzz_minutes * 60
    for data in mutations(seeds, time.time_ns(), target.longest, target.mutate):
        try:
            judge(target, data, slower=_SLOWER)
        except Exception:
            print(f"{name}: bytes.fromhex({data.hex()!r})")
            raise
        if time.monotonic() > end:
            return


def test_the_oracle_sees_what_it_is_for() -> None:
    held: list[bytearray] = []

    def misbehaves(data: bytes) -> None:
        if data == b"ours":
            raise PeerError("this is said")
        if data == b"slow":
            end = time.process_time() + 0.02
            while time.process_time() < end:
                pass
        if data == b"much":
            held.append(bytearray(3 << 20))
            held.clear()
        if data == b"defect":
            raise IndexError

    target = Target(misbehaves, tuple, seconds=0.01, memory=1 << 20)
    assert judge(target, b"")
    assert not judge(target, b"ours")
    with pytest.raises(TooMuchTime):
        judge(target, b"slow")
    with pytest.raises(TooMuchMemory):
        judge(target, b"much", slower=100, memory=True)
    with pytest.raises(IndexError):
        judge(target, b"defect")


def test_mutations_are_the_same_in_each_run() -> None:
    seeds = [b"abcdef", bytes(100)]
    first = list(islice(mutations(seeds, 5, 64), 200))
    assert first == list(islice(mutations(seeds, 5, 64), 200))
    assert len(set(first)) > 100 and max(map(len, first)) <= 64


def test_what_keeps_to_its_structure_gets_further() -> None:
    """Of command sets that are changed so, more are taken than of those that are changed anyhow."""
    target = TARGETS["command"]
    seeds = [each for each in target.seeds() if judge(target, each, slower=_SLOWER)]
    anyhow = mutations(seeds, 3, target.longest)
    structured = mutations(seeds, 3, target.longest, target.mutate)
    taken = [
        sum(judge(target, each, slower=_SLOWER) for each in islice(made, 150))
        for made in (anyhow, structured)
    ]
    assert taken[1] > taken[0], taken
