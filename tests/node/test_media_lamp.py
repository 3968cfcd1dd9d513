"""The lamp for media and `gantry status` at a live node, with sticks that come and go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import generate_uid

from tests.checklists.test_import_integrator import image
from tests.cli_of import gantry
from tests.node.running import NodeProcess
from tests.node.test_media_watch import images, media, medium
from tests.node.test_steps import until

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def slots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("slots")


@pytest.fixture(scope="module")
def node(slots: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    more = f'[panel]\nkind = "simulator"\n{media(slots, "unchanged")}'
    with NodeProcess(tmp_path_factory.mktemp("node"), more) as running:
        yield running


def lamp(node: NodeProcess) -> str:
    return str(node.ask("status")["lamps"].get("media", ""))


def wait_for(node: NodeProcess, pattern: str) -> dict[str, Any]:
    until(lambda: lamp(node) == pattern, lambda: f"{node.ask('status')}\n{node.log[-2000:]}")
    return dict(node.ask("status"))


def test_a_stick_is_shown_at_work_then_safe_then_gone(
    node: NodeProcess, slots: Path, tmp_path: Path
) -> None:
    wait_for(node, "OFF")
    stick = medium(tmp_path / "stick", images(240))
    stick.rename(slots / "STICK")
    lines: set[str] = set()

    def is_imported() -> bool:
        said = gantry("status", "--control", node.control).output
        lines.update(said.splitlines())
        return "medium STICK: safe to remove" in said

    wait_for(node, "SLOW")
    until(is_imported, lambda: f"{lines}\n{node.log[-2000:]}")
    assert any(each.endswith(f"of 240 objects, {_folder(node)}") for each in lines), lines
    wait_for(node, "ON")
    (slots / "STICK").rename(stick)
    wait_for(node, "OFF")


def _folder(node: NodeProcess) -> str:
    return str(node.ask("import-list")["items"][0]["medium"])


def test_a_file_that_cannot_be_read_makes_it_blink_until_the_next_import(
    node: NodeProcess, slots: Path, tmp_path: Path
) -> None:
    made = [image(generate_uid(), number, PatientID="P8") for number in (1, 2)]
    stick = medium(tmp_path / "stick", made)
    cut = next(each for each in stick.rglob("*") if each.is_file() and each.name != "DICOMDIR")
    cut.write_bytes(cut.read_bytes()[:-40])
    stick.rename(slots / "DAMAGED")
    said = wait_for(node, "FAST")
    shown = gantry("status", "--control", node.control).output
    assert "medium DAMAGED" in shown
    assert "pixel data are missing" in f"{said}{shown}" or "files not read" in shown
    (slots / "DAMAGED").rename(stick)
    medium(
        tmp_path / "next",
        [image(generate_uid(), 5, PatientID="P9", StudyInstanceUID=generate_uid())],
    ).rename(slots / "NEXT")
    wait_for(node, "ON")
