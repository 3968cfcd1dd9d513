"""What a fuzz target is, and the oracle that judges what one input does.

A target takes any bytes and gives them to a door of the program as a peer would. It may raise
nothing but errors of the families in `agent/errors.py`, take so much CPU time, and hold so much
memory. Each module in `tests/fuzz/targets` has one; `tests/fuzz/targets/table.py` has them all.
"""

from __future__ import annotations

import os
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pydicom.data

from agent.errors import GantryError
from tests.fuzz.structure import Mutate

MIB = 1 << 20


@dataclass(frozen=True)
class Target:
    """`run` gets the bytes; `seeds` gives inputs that are right or nearly so, for the mutations.

    `seconds` is the CPU time that one input may take, on a PC without instrumentation; `memory` the
    bytes of Python's objects that it may hold at once; `longest` the length of an input.
    """

    run: Callable[[bytes], object]
    seeds: Callable[[], Iterable[bytes]]
    seconds: float = 0.5
    memory: int = 16 * MIB
    longest: int = 1 << 16
    mutate: Mutate | None = None
    """Changes an input and keeps to its structure; None where there is none to be kept to."""


class TooMuchTime(AssertionError):
    """An input took more CPU time than its length can justify."""


class TooMuchMemory(AssertionError):
    """An input made the program hold more memory than its length can justify."""


def judge(target: Target, data: bytes, *, slower: float = 1.0, memory: bool = False) -> bool:
    """Give one input; whether it was taken without an error.

    Anything but a GantryError goes through to the caller. `slower` is by how much the program is
    slowed down by whoever watches it. With `memory` the peak is measured, which is slow itself.
    """
    if memory:
        tracemalloc.start()
    begun = time.process_time()
    try:
        taken = True
        try:
            target.run(data)
        except GantryError:
            taken = False
        spent = time.process_time() - begun
        peak = tracemalloc.get_traced_memory()[1] if memory else 0
    finally:
        if memory:
            tracemalloc.stop()
    if spent > target.seconds * slower:
        raise TooMuchTime(f"{spent:.2f} s for {len(data)} bytes")
    if peak > target.memory:
        raise TooMuchMemory(f"{peak} bytes for {len(data)} bytes")
    return taken


@contextmanager
def open_bytes(data: bytes) -> Iterator[int]:
    """A descriptor of a file in memory with these bytes."""
    descriptor = os.memfd_create("input")
    try:
        os.write(descriptor, data)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def hostile_files(longest: int) -> Iterator[bytes]:
    """The corpus of others in GANTRY_TEST_DATA, where it is."""
    folder = os.environ.get("GANTRY_TEST_DATA")
    if folder:
        yield from _below(Path(folder) / "fuzz" / "fuzz_corpus_v2", longest)


def dicom_files(longest: int) -> Iterator[bytes]:
    """The small ones of pydicom's own test files."""
    yield from _below(Path(str(pydicom.data.get_testdata_file("CT_small.dcm"))).parent, longest)


def _below(folder: Path, longest: int) -> Iterator[bytes]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".json" and path.stat().st_size <= longest:
            yield path.read_bytes()
