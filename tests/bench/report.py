"""The table and the JSON of a run."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.fairness import Fairness
from tests.bench.measuring import Measured, Pair
from tests.bench.objects import KIB, Load
from tests.bench.rows import ROWS, Row
from tests.peers.memory import MIB

FAIR_SHARE = 0.5
TURN_BUDGET = 0.005


@dataclass(slots=True)
class Results:
    """All that was measured; `timed` in order of repetition, `memory` from a run of its own."""

    loads: dict[str, Load]
    parts: frozenset[str] = frozenset()
    timed: dict[tuple[str, Pair], list[Measured]] = field(default_factory=dict)
    memory: dict[tuple[str, Pair], Measured] = field(default_factory=dict)
    failures: dict[tuple[str, Pair], list[str]] = field(default_factory=dict)
    fairness: Fairness | None = None
    conditions: dict[str, Any] = field(default_factory=dict)

    def of(self, load: str, pair: Pair) -> dict[str, float] | None:
        """The medians of a pair; None when it was not measured."""
        found = self.timed.get((load, pair))
        if not found:
            return None
        size = self.loads[load].size
        objects = found[0].objects
        # The start-up is steadier than what is left after it: medians first, then the difference.
        start_up = median(each.start_up for each in found)
        seconds = median(each.seconds for each in found) - start_up
        rate = objects / max(1e-3, seconds)
        sender_start_up = median(each.start_up_cpu for each in found)
        sender = max(0.0, median(each.sender_cpu for each in found) - sender_start_up)
        receiver = median(each.receiver_cpu for each in found)
        gigabytes = objects * size / 1e9
        peak = self.memory.get((load, pair))
        return {
            "objects": objects,
            "seconds": seconds,
            "start_up": start_up,
            "objects_per_second": rate,
            "megabytes_per_second": rate * size / 1e6,
            "sender_cpu_per_1000": sender / objects * 1000,
            "receiver_cpu_per_1000": receiver / objects * 1000,
            "sender_cpu_per_gb": sender / gigabytes,
            "receiver_cpu_per_gb": receiver / gigabytes,
            "sender_mib": peak.sender_memory / MIB if peak else 0.0,
            "receiver_mib": peak.receiver_memory / MIB if peak else 0.0,
            "spread": max(each.seconds for each in found) / min(each.seconds for each in found),
        }

    def ratio(self, row: Row) -> float | None:
        """How many times as fast ours is, by the medians."""
        ours, other = self.of(row.load, row.ours), self.of(row.load, row.other)
        if ours is None or other is None:
            return None
        return ours["objects_per_second"] / other["objects_per_second"]

    def cpu_ratio(self, row: Row) -> float | None:
        """CPU seconds of the side that differs, ours by the other's; below 1 is better."""
        ours, other = self.of(row.load, row.ours), self.of(row.load, row.other)
        if ours is None or other is None:
            return None
        side = "sender" if row.part == "send" else "receiver"
        key = f"{side}_cpu_per_1000"
        return ours[key] / max(1e-9, other[key])


def verdict(value: float | None, aim: float | None) -> str:
    """Whether the aim is met."""
    if value is None:
        return "not measured"
    if aim is None:
        return ""
    return "met" if value >= aim else "NOT MET"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return [
        "  ".join(
            cell.ljust(width) if not column else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def pair_lines(results: Results) -> list[str]:
    """What each pair did."""
    head = (
        *(
            "sender > receiver",
            "load",
            "objects/s",
            "MB/s",
            "CPU s sender",
            "CPU s receiver",
            "per",
        ),
        *("MiB sender", "MiB receiver", "slowest/fastest"),
    )
    rows = []
    for load, pair in results.timed:
        found = results.of(load, pair)
        if found is None:
            continue
        per = "per_1000" if results.loads[load].size < 256 * KIB else "per_gb"
        rows.append(
            (
                *(str(pair), load, _number(found["objects_per_second"])),
                _number(found["megabytes_per_second"]),
                *(f"{found[f'{side}_cpu_{per}']:.3f}" for side in ("sender", "receiver")),
                "1000" if per == "per_1000" else "GB",
                *(f"{found[f'{side}_mib']:.0f}" for side in ("sender", "receiver")),
                f"{found['spread']:.2f}",
            )
        )
    return _table(head, rows)


def row_lines(results: Results, rows: Iterable[Row] = ROWS) -> list[str]:
    """Each comparison with its aim."""
    head = ("comparison (ours : other)", "load", "times as fast", "aim", "", "CPU ours/other")
    cells = []
    for row in rows:
        if row.load not in results.loads:
            continue
        ratio = results.ratio(row)
        if ratio is None and row.part not in results.parts:
            continue
        cells.append(
            (
                *(f"{row.part}: {row.what}", row.load, _number(ratio)),
                *(_number(row.aim) if row.aim else "", verdict(ratio, row.aim)),
                _number(results.cpu_ratio(row)),
            )
        )
    return _table(head, cells)


def fairness_lines(found: Fairness) -> list[str]:
    """The shares of the eight, and the loop meanwhile."""
    shares = found.shares
    lines = ["eight senders at once into gantry run"]
    for size, alone, together, share in zip(
        found.sizes, found.alone, found.together, shares, strict=True
    ):
        lines.append(
            f"  {size // KIB:5} KiB: {alone:7.1f} objects/s alone, {together:7.1f} together:"
            f" {share:.2f} of its fair share"
        )
    least = min(shares)
    lines.append(f"  slowest: {least:.2f}, aim {FAIR_SHARE}: {verdict(least, FAIR_SHARE)}")
    if found.loop:
        longest = found.loop["longest_turn"]
        met = "met" if longest <= TURN_BUDGET else "NOT MET"
        lines.append(
            f"  loop lag: p50 {found.loop['p50'] * 1e3:.2f} ms, p99.9"
            f" {found.loop['p999'] * 1e3:.2f} ms, over budget {found.loop['over_budget']:.0f}"
            f" of {found.loop['count']:.0f}; longest turn {longest * 1e3:.1f} ms of CPU,"
            f" aim {TURN_BUDGET * 1e3:.0f} ms: {met}"
        )
    return lines


def text(results: Results) -> str:
    """All of it, for a person."""
    conditions = ", ".join(f"{name} {value}" for name, value in results.conditions.items())
    blocks = [[conditions], pair_lines(results), row_lines(results)]
    if results.fairness is not None:
        blocks.append(fairness_lines(results.fairness))
    blocks += [[f"FAILED {load}: {pair}: {why}"] for (load, pair), why in results.failures.items()]
    return "\n\n".join("\n".join(block) for block in blocks)


def as_json(results: Results) -> dict[str, Any]:
    """All of it, for a program."""
    return {
        "conditions": results.conditions,
        "pairs": [
            {"load": load, "pair": str(pair), **(results.of(load, pair) or {})}
            for load, pair in results.timed
        ],
        "rows": [
            {
                "part": row.part,
                "what": row.what,
                "load": row.load,
                "ratio": results.ratio(row),
                "aim": row.aim,
                "verdict": verdict(results.ratio(row), row.aim),
                "cpu_ratio": results.cpu_ratio(row),
            }
            for row in ROWS
            if row.load in results.loads and row.part in results.parts
        ],
        "fairness": None
        if results.fairness is None
        else asdict(results.fairness) | {"shares": results.fairness.shares},
        "failures": {f"{load}: {pair}": found for (load, pair), found in results.failures.items()},
    }


def conditions_of(disk: Path, memory: Path) -> dict[str, Any]:
    """What the figures depend on, as far as it can be told."""
    return {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load before": os.getloadavg()[0],
        "disk": str(disk.parent),
        "sync ms": round(_sync_milliseconds(disk), 3),
        "memory": str(memory.parent),
    }


def _sync_milliseconds(folder: Path) -> float:
    """The median time of `fdatasync` after 32 KiB."""
    found = []
    path = folder / "sync"
    with path.open("wb", buffering=0) as file:
        for _ in range(50):
            file.write(bytes(32 * KIB))
            started = time.monotonic()
            os.fdatasync(file.fileno())
            found.append(time.monotonic() - started)
    path.unlink()
    return median(found) * 1e3
