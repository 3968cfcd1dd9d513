"""Memory that is free is handed back to the kernel."""

from __future__ import annotations

import contextlib


def give_back() -> None:
    """Hand back what the C library holds free: after a start, a megabyte or two. With another C
    library than glibc it does nothing. Takes less than a millisecond."""
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
