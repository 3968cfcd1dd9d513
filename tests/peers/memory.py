"""What a process and its children occupy, by the kernel's own sums (smaps_rollup)."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tests.peers.process import process_tree

KIB = 1024
MIB = 1024 * 1024


def rollup(pid: int) -> dict[str, int]:
    """The fields of /proc/PID/smaps_rollup in bytes (`Rss`, `Pss`, `Private_Dirty` ...).

    Raises OSError when the process is gone, or is not ours and we are not root.
    """
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {
        name: int(value.split()[0]) * KIB
        for name, _, value in (line.partition(":") for line in lines)
    }


def proportional_set_size(pids: Iterable[int]) -> int:
    """The sum of the PSS of these processes in bytes; one that has ended counts as nothing."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            total += rollup(pid)["Pss"]
    return total


def tree_memory(pid: int) -> int:
    """The PSS in bytes of a process with all its descendants."""
    return proportional_set_size(process_tree(pid))


def describe_tree(pid: int) -> str:
    """A line for each process of the tree, for the message of an assertion."""
    lines = []
    for member in process_tree(pid):
        with suppress(OSError):
            words = Path(f"/proc/{member}/cmdline").read_bytes().split(b"\0")
            command = b" ".join(words).decode(errors="replace")[:80]
            lines.append(f"{rollup(member)['Pss'] / MIB:8.1f} MiB  {member}  {command}")
    return "\n".join(lines)


def processor_seconds(pid: int) -> float:
    """CPU seconds, user and system, that a process and its ended children have used."""
    import os

    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(value) for value in fields[11:15]) / os.sysconf("SC_CLK_TCK")
