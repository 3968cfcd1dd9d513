"""That the retrieve bench measures all that it says; how fast anything is, is not tested here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.objects import KIB, Load
from tests.bench.retrieve import lines, run


@pytest.mark.peer
def test_a_tiny_run_has_a_row_for_each_archive(tmp_path: Path) -> None:
    rows = run(tmp_path, [Load("4 KiB", 4 * KIB, 2)], frozenset(("get", "move")), 1)
    assert [row.who for row in rows] == [
        *("gantry run", "gantry run", "dcmqrscp", "dcmqrscp", "Orthanc", "Orthanc"),
    ]
    told = lines(rows)
    assert len(told) == 1 + len(rows) and told[3].endswith(" x")
