"""Writing all of some bytes: one write(2) may take only a part of them, at a full disk too."""

from __future__ import annotations

import os


def write_whole(descriptor: int, data: bytes | bytearray | memoryview) -> None:
    """Write `data`, a view of single bytes, behind what stands in a blocking descriptor.

    Holds nothing of `data` afterwards, so that a bytearray can be resized again. Raises OSError;
    a part may have been written then.
    """
    with memoryview(data) as view:
        start = 0
        while start < len(view):
            with view[start:] as rest:
                start += os.write(descriptor, rest)
