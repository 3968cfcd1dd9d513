"""That the bench measures all that it says; how fast anything is, is not tested here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench.measuring import Pair, measure
from tests.bench.network import Rooms, loads_of, run
from tests.bench.objects import Load, make_objects
from tests.bench.report import as_json, row_lines, text
from tests.bench.rows import DURABLE_LOADS, NETWORK_LOADS, ROWS, SMALL, pairs_of


def test_every_row_has_its_pairs_measured() -> None:
    everything = frozenset(("receive", "send", "durable"))
    for row in ROWS:
        pairs = pairs_of(row.load, everything)
        assert row.ours in pairs and row.other in pairs
        assert row.load in (DURABLE_LOADS if row.part == "durable" else NETWORK_LOADS)


@pytest.mark.peer
def test_all_rows_of_a_tiny_run_are_told(tmp_path: Path) -> None:
    loads = {SMALL: loads_of(0.002)[SMALL]}
    results = run(Rooms(tmp_path, tmp_path), loads, ("send",), 1, memory=False)
    assert not results.failures
    wanted = [row for row in ROWS if row.part == "send" and row.load == SMALL]
    assert wanted and all(results.ratio(row) is not None for row in wanted)
    assert len(row_lines(results, wanted)) == 1 + len(wanted)
    assert "times as fast" in text(results)
    told = json.loads(json.dumps(as_json(results)))
    assert all(
        row["verdict"] in ("met", "NOT MET") for row in told["rows"] if row["part"] == "send"
    )


@pytest.mark.peer
def test_cpu_memory_and_time_of_both_sides_are_noted(tmp_path: Path) -> None:
    load = Load("small", 32768, 3)
    files = [make_objects(tmp_path / "files", load)]
    first = [make_objects(tmp_path / "first", Load("first", 32768, 1), first=10**9)]
    pair = Pair("gantry send", "gantry listen")
    found = measure(pair, files, first, tmp_path, memory=True)
    assert found.objects == 3 and found.seconds > 0 and found.start_up > 0
    assert found.sender_cpu > 0 and found.receiver_cpu > 0
    assert found.sender_memory > 1 << 20 and found.receiver_memory > 1 << 20
    assert not list(tmp_path.glob("receiver*"))
