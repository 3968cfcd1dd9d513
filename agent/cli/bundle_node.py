"""What a support bundle says of the running node: status, metrics, its queue, its processes."""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from agent.archive.records import JobState
from agent.cli.bundle_redactor import REMOVED, Redactor
from agent.control import ask

_PAGE = 1000
_MOST_JOBS = 50_000
_MOST_GROUPS = 2000
_METRIC = re.compile(r"([a-z_]+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")
_COUNTED = ("Pss", "Private_Dirty", "Swap")


def status(control: Path, redactor: Redactor) -> Any:
    """As `gantry status` has it, as far as it is safe. Raises UnreachableError and LocalError."""
    return redactor.tree(ask(control, "status"))


def metrics(control: Path, redactor: Redactor) -> str:
    """All metrics, their labels as far as they are safe. Raises UnreachableError, LocalError."""
    return "".join(f"{line}\n" for line in _metrics(str(ask(control, "metrics")), redactor))


def _metrics(text: str, redactor: Redactor) -> Iterator[str]:
    for line in text.splitlines():
        found = _METRIC.fullmatch(line)
        if line.startswith("#"):
            yield line
        elif found is not None:
            labels = ",".join(
                f'{name}="{_label(name, value, redactor)}"'
                for name, value in _LABEL.findall(found[2] or "")
            )
            yield f"{found[1]}{{{labels}}} {found[3]}" if labels else f"{found[1]} {found[3]}"


def _label(name: str, value: str, redactor: Redactor) -> str:
    if name in ("version", "quantile"):
        return str(value)
    said = redactor.field(name, _ESCAPED.sub(r"\1", value))
    return said.replace("\\", "\\\\").replace('"', '\\"')


def queue(control: Path, redactor: Redactor, archives: list[str]) -> dict[str, Any]:
    """How many jobs there are of each peer, state and reason: 50,000 of each archive are looked at.

    Raises UnreachableError and LocalError.
    """
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    whole = True
    for archive in archives:
        after: int | None = 0
        seen = 0
        while after is not None and seen < _MOST_JOBS:
            page = ask(control, "queue", archive=archive, after=after, limit=_PAGE)
            for job in page["items"]:
                _count(found, archive, job, redactor)
            after, seen = page["next"], seen + len(page["items"])
        whole = whole and after is None
    return {"all jobs were looked at": whole, "jobs": list(found.values())}


def _count(
    found: dict[tuple[str, ...], dict[str, Any]],
    archive: str,
    job: dict[str, Any],
    redactor: Redactor,
) -> None:
    row = {
        "archive": redactor.field("archive", archive),
        "peer": redactor.field("peer", job["destination"]),
        "kind": redactor.field("kind", job["kind"]),
        "state": JobState(job["state"]).name.lower(),
        "status": f"{job['status']:04X}",
        "reason": redactor.sentence(job["reason"]) if job["reason"] else "",
    }
    place = tuple(row.values())
    if place not in found and len(found) >= _MOST_GROUPS:
        row["reason"] = REMOVED
        place = tuple(row.values())
    each = found.setdefault(place, {**row, "jobs": 0, "most attempts": 0, "oldest": job["created"]})
    each["jobs"] += 1
    each["most attempts"] = max(each["most attempts"], job["attempts"])
    each["oldest"] = min(each["oldest"], job["created"])


def processes(control: Path) -> list[dict[str, Any]]:
    """Memory and descriptors of the node and its workers, in KiB, where we may see them."""
    end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with closing(end):
        try:
            end.connect(str(control))
            told = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        except OSError:
            return []
    node = struct.unpack("3i", told)[0]
    return [_process(number, number == node) for number in _family(node)]


def _family(number: int) -> Iterator[int]:
    yield number
    try:
        children = Path(f"/proc/{number}/task/{number}/children").read_text().split()
    except OSError:
        return
    for each in children:
        yield from _family(int(each))


def _process(number: int, is_node: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"what": "node" if is_node else "worker"}
    place = Path(f"/proc/{number}")
    try:
        for line in (place / "smaps_rollup").read_text().splitlines():
            name, _, rest = line.partition(":")
            if name in _COUNTED:
                found[name] = int(rest.split()[0])
        found["descriptors"] = sum(1 for _ in (place / "fd").iterdir())
    except OSError as error:
        found["not seen"] = error.strerror
    return found
