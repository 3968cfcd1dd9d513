"""The figures of a node that are taken when they are asked for: queue, disk, loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from agent import __version__, observation
from agent.archive.archive import Archive
from agent.archive.records import DestinationSummary
from agent.configuration.node import Metrics
from agent.errors import GantryError
from agent.loop import current_loop, sleep
from agent.network.status import status_text
from agent.quoting import Sentence

_gauge = observation.metrics.gauge

BUILD = _gauge("gantry_build_info", "The version that runs", "version")
UP = _gauge("gantry_up_seconds", "Time since the start")
QUEUE = _gauge("gantry_queue_depth", "Jobs that are not finished", "archive", "peer", "state")
OLDEST = _gauge("gantry_queue_oldest_seconds", "Age of the oldest job", "archive", "peer")
LAST_FAILURE = _gauge("gantry_queue_last_failure_seconds", "Time of it; 0: none", "archive", "peer")
LAST_REASON = _gauge(
    "gantry_queue_last_reason", "Status of the last failure, its words", "archive", "peer", "reason"
)
PAUSED = _gauge("gantry_queue_paused", "Whether a person paused it", "archive", "peer")
HELD = _gauge("gantry_archive_bytes", "Bytes of stored objects", "archive")
FREE = _gauge("gantry_disk_free_bytes", "Free bytes of the archive's file system", "archive")
FREE_FILES = _gauge("gantry_disk_free_files", "Files that it has room for; 0: no bound", "archive")
IN_USE = _gauge("gantry_disk_in_use", "Part of quota or file system in use, 0 to 1", "archive")
LAG = _gauge("gantry_loop_lag_seconds", "Time from one poll of the loop to the next", "quantile")
LATE = _gauge("gantry_loop_late_total", "Times that the loop was later than its budget")
LONGEST = _gauge("gantry_loop_longest_turn_seconds", "Most CPU time of one turn")


async def take(archives: Mapping[str, Archive], started: float) -> str:
    """All metrics as Prometheus text, as they are now. An archive that fails is left as it was.

    `started` is the time of the clock at which the node started.
    """
    BUILD.of(__version__).set(1)
    UP.of().set(time.time() - started)
    lag = current_loop().lag
    LAG.of("0.5").set(lag.p50)
    LAG.of("0.999").set(lag.p999)
    LATE.of().set(lag.over_budget)
    LONGEST.of().set(lag.longest_turn)
    for name, archive in archives.items():
        try:
            usage = archive.usage()
            HELD.of(name).set(usage.held)
            FREE.of(name).set(usage.free)
            FREE_FILES.of(name).set(usage.free_files)
            IN_USE.of(name).set(usage.part)
            for each in await archive.destinations():
                for state in ("waiting", "claimed", "held"):
                    QUEUE.of(name, each.name, state).set(getattr(each, state))
                OLDEST.of(name, each.name).set(time.time() - each.oldest if each.oldest else 0)
                PAUSED.of(name, each.name).set(int(each.paused))
                LAST_FAILURE.of(name, each.name).set(each.last_failure)
                _tell_reason(name, each)
        except GantryError as error:
            observation.warning("figures not taken", archive=name, error=error)
    return observation.metrics.render()


async def keep(
    table: Callable[[], Metrics], archives: Mapping[str, Archive], started: float
) -> None:
    """Until cancelled: write them to the file that is configured, whole or not at all."""
    while True:
        now = table()
        if now.file:
            path = Path(now.file)
            fresh = path.with_suffix(path.suffix + ".new")
            try:
                fresh.write_text(await take(archives, started))
                fresh.replace(path)
            except OSError as error:
                observation.warning("metrics not written", file=Sentence(now.file), error=error)
        await sleep(now.interval)


_reasons: dict[tuple[str, str], str] = {}


def _tell_reason(archive: str, summary: DestinationSummary) -> None:
    """One reason for each peer: the one before it goes. The peer's own words may name a patient,
    and are for those who ask for the queue."""
    place = (archive, summary.name)
    before = _reasons.get(place, "")
    reason = status_text(summary.last_status) if summary.last_status else "no answer"
    reason = reason if summary.last_reason else ""
    if before and before != reason:
        LAST_REASON.forget(*place, before)
    _reasons[place] = reason
    if reason:
        LAST_REASON.of(*place, reason).set(summary.last_status)
