"""A query of very many rows: what others get meanwhile, and what it takes of the node."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.bench.query import Client, Query
from tests.checklists.retrieving import CT, SERVICES, Made, store
from tests.node.running import NodeProcess
from tests.node.test_fetch import peak
from tests.node.test_large_retrieval import MOST_MORE, STUDY, multiply

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

ROWS = 1_000_000
LONGEST_TURN = 0.02
"""Seconds of CPU; who asks for a C-ECHO waits for one turn of the others."""
SERVES = "".join(
    f'[[entity.service]]\nname = "{name}"\nroles = ["scp"]\n' for name in ("query", "verification")
)


def test_an_echo_waits_for_no_long_turn_while_a_query_of_a_million_rows_runs(
    tmp_path: Path,
) -> None:
    node = NodeProcess(tmp_path, SERVICES)
    with node:
        store(node.port, [Made(f"{STUDY}.1", STUDY, CT)])
        node.stop()
    multiply(tmp_path / "state" / "archive" / "main", ROWS - 1, files=0)
    node.write(SERVES)
    with node:
        other, asking = Client(node.port, "GANTRY"), Client(node.port, "GANTRY")
        other.echo()
        before, memory = node.ask("status")["loop"], peak(node)
        keys = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": f"{STUDY}.1", "SOPInstanceUID": ""}
        found: list[tuple[int, float, float, int]] = []
        thread = threading.Thread(
            target=lambda: found.append(asking.find(Query("all", "IMAGE", keys)))
        )
        thread.start()
        echoes = 0
        while thread.is_alive():
            other.echo()
            echoes += 1
        loop = node.ask("status")["loop"]
        assert found[0][0] == ROWS and found[0][3] == 0
        assert echoes > 1_000
        assert loop["longest_turn"] <= max(LONGEST_TURN, before["longest_turn"]), loop
        # Of some hundred thousand turns, each of which others had one after.
        assert loop["turns_over_budget"] - before["turns_over_budget"] <= 20, loop
        assert peak(node) - memory < MOST_MORE
        other.close()
        asking.close()
