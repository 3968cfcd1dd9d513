"""Exit statuses of all commands, and what is printed when one fails.

0 done; 1 the peer, the device, the disk or the data said no; 2 wrong usage or configuration;
3 the peer could not be reached. A person gets one clear sentence and the way out, never a traceback
(set GANTRY_TRACEBACK=1 to see where an error came from).
"""

from __future__ import annotations

import errno
import os
import sys
from enum import IntEnum

from agent.errors import GantryError, LocalError, PeerError, UnreachableError


class ExitStatus(IntEnum):
    """What a script may rely on; `INTERRUPTED` is what a shell gives for SIGINT."""

    DONE = 0
    REFUSED = 1
    WRONG_USAGE = 2
    UNREACHABLE = 3
    INTERRUPTED = 130


_NO_WAY_TO_THE_PEER = frozenset(
    (
        errno.ECONNREFUSED,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ETIMEDOUT,
    )
)


def status_of(error: BaseException) -> ExitStatus:
    """The exit status for an error, by its family.

    Unreachable is what says so itself, and what was caused by a connection that could not be made:
    refused, timed out, no route, or a name that does not resolve.
    """
    if isinstance(error, KeyboardInterrupt):
        return ExitStatus.INTERRUPTED
    if isinstance(error, LocalError):
        return ExitStatus.WRONG_USAGE
    if isinstance(error, UnreachableError):
        return ExitStatus.UNREACHABLE
    cause: BaseException | None = error
    while isinstance(cause, PeerError | OSError):
        if isinstance(cause, OSError) and _is_no_way_to_the_peer(cause):
            return ExitStatus.UNREACHABLE
        cause = cause.__cause__
    return ExitStatus.REFUSED


def _is_no_way_to_the_peer(error: OSError) -> bool:
    # getaddrinfo's numbers are of its own kind; the module is there if it raised one.
    resolver = getattr(sys.modules.get("socket"), "gaierror", ())
    return isinstance(error, resolver) or error.errno in _NO_WAY_TO_THE_PEER


def explain(error: BaseException, *, in_log: bool = False) -> str:
    """One sentence for a person, with the way out on a line of its own where there is one.

    With `in_log` the words of others are left out.
    """
    if isinstance(error, GantryError):
        text = error.in_log if in_log else str(error)
        way_out = error.way_out.in_log if in_log else error.way_out
        return f"{text}\n  {way_out}" if way_out else text
    if isinstance(error, OSError) and error.strerror:
        name = f"{error.filename}: " if error.filename is not None and not in_log else ""
        return f"{name}{error.strerror}"
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    said = f"{type(error).__name__}: {error}"
    return (
        f"an error that Gantry did not foresee: {type(error).__name__ if in_log else said}\n"
        "  Please report it, with what GANTRY_TRACEBACK=1 shows for the same command."
    )


def report(error: BaseException, *, in_log: bool = False) -> ExitStatus:
    """Print the error to standard error, which may be a log, and give the exit status."""
    if os.environ.get("GANTRY_TRACEBACK"):
        import traceback

        traceback.print_exception(error)
    print(f"gantry: {explain(error, in_log=in_log)}", file=sys.stderr)
    return status_of(error)
