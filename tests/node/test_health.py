"""What `gantry doctor --keep` finds is in the status and on the panel, from one file."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli_of import gantry
from tests.node.running import NodeProcess
from tests.peers.process import free_port, wait_until
from tests.peers.programs import Completed

PANEL = '[panel]\nkind = "simulator"\n'


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with NodeProcess(tmp_path_factory.mktemp("health") / "node", PANEL) as started:
        yield started


def doctor(node: NodeProcess) -> Completed:
    return gantry("doctor", "--keep", "--config", node.configuration)


def status(node: NodeProcess) -> str:
    return gantry("status", "--control", node.control).check().output


def lamp(node: NodeProcess) -> str:
    return str(node.ask("status")["lamps"].get("health", ""))


def kept(node: NodeProcess) -> Path:
    return node.folder / "state" / "health.json"


def test_before_anybody_has_looked_nothing_is_said(node: NodeProcess) -> None:
    assert "health" not in status(node)
    wait_until(lambda: lamp(node) == "OFF", "the lamp is dark")


def test_faults_are_told_until_they_are_gone(node: NodeProcess) -> None:
    port = free_port()
    node.write(f'[[peer]]\nname = "PACS"\naddresses = ["127.0.0.1:{port}"]\n{PANEL}')
    node.reload()
    done = doctor(node)
    assert done.returncode == 1
    faults = [line for line in done.output.splitlines() if line.startswith("!!  ")]
    assert any("peer PACS" in each for each in faults)
    said = status(node)
    assert f"health: {len(faults)} fault" in said and "looked 0 min ago" in said
    for each in faults:
        assert f"\n  {each.removeprefix('!!  ')}\n" in said
    wait_until(lambda: lamp(node) == "FAST", "the lamp blinks quickly")
    assert f"health faults={len(faults)}" in node.log
    assert f"gantry_faults {len(faults)}" in node.ask("metrics")
    node.write(PANEL)
    node.reload()
    doctor(node)
    assert "peer PACS" not in status(node)


def test_a_result_is_old_after_two_days(node: NodeProcess) -> None:
    kept(node).write_text(json.dumps({"at": time.time() - 50 * 3600, "findings": []}))
    node.ask("health")
    assert "health: no faults, looked 50 h ago, which is long" in status(node)
    wait_until(lambda: lamp(node) == "SLOW", "the lamp blinks slowly")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"at": "x", "findings": 1}', '{"at": 1}'])
def test_a_file_that_cannot_be_read_is_as_none(node: NodeProcess, text: str) -> None:
    kept(node).write_text(text)
    assert node.ask("health") is None


def test_a_node_that_does_not_run_finds_it_later(tmp_path: Path) -> None:
    stopped = NodeProcess(tmp_path / "node")
    (tmp_path / "node" / "state").mkdir()
    doctor(stopped)
    assert kept(stopped).stat().st_mode & 0o007 == 0
    assert "findings" in json.loads(kept(stopped).read_text())
