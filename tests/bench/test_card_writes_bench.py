"""That the bench counts what is written in each phase; how much that is, is not tested here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.card_writes import BOXES, Written, run
from tests.bench.card_writes import rows as rows_of
from tests.bench.objects import KIB, Load


@pytest.mark.peer
def test_a_tiny_run_counts_all_phases_of_both(tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    memory.mkdir()
    figures, counted = run(tmp_path, memory, [Load("32 KiB", 32 * KIB, 3)])
    assert set(figures["32 KiB"]) == set(BOXES)
    for found in figures["32 KiB"].values():
        assert found.stored > 3 * 32 * KIB
        # Nothing is kept in less than its size.
        assert found.phases["received"] >= found.stored
    assert len(list(rows_of(figures, counted))) == 4 + len(BOXES)


def test_ratios_are_of_what_was_stored() -> None:
    found = Written(100, {"received": 150, "forwarded": 20, "deleted": 30})
    assert (found.ratio("received"), found.total) == (1.5, 2.0)
