"""Whether an object that comes is one that is here: byte for byte, from the data set on.

Who sends a large object again must not keep others waiting for as long as two of them take to be
read: the storage worker asks for the comparison, and a worker of the pool makes it.
"""

from __future__ import annotations

import os
from pathlib import Path

from agent.archive.layout import object_path
from agent.archive.worker_answers import Comparison

LARGEST_AT_ONCE = 8 << 20
"""Bytes of an object that the storage worker compares itself."""

_BLOCK = 1 << 20


def are_same(folder: Path, descriptor: int, wanted: Comparison) -> bool:
    """Whether the open file has the data set of the stored object. False where that has no file:
    its row is all that is left of it, and what comes now is needed. Memory: two MiB.

    Raises OSError where one cannot be read.
    """
    try:
        stored = os.open(object_path(folder, wanted.number), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return _same_bytes((descriptor, wanted.offset), (stored, wanted.stored_offset))
    finally:
        os.close(stored)


def _same_bytes(one: tuple[int, int], other: tuple[int, int]) -> bool:
    position = 0
    while True:
        left = os.pread(one[0], _BLOCK, one[1] + position)
        right = os.pread(other[0], _BLOCK, other[1] + position)
        if left != right:
            return False
        if not left:
            return True
        position += len(left)
