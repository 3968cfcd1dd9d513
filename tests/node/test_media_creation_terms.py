"""What N-GET says of a media creation request that goes wrong (PS3.3 C.22.1.3, C.22.1.4), and the
cancellation that is denied: term by term, over an association."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import generate_uid

from agent.services.media_creation_table import EXECUTION_STATUS_INFO, SAID_BY_US
from tests.media.instances import instance, save
from tests.node import running as running_node
from tests.node.media_device import asked, media_node, over, request_for, requester, result, stored
from tests.node.running import NodeProcess
from tests.node.test_media_creation import failures
from tests.node.test_steps import until
from tests.peers.dcmtk import dcmsend

pytestmark = pytest.mark.peer

OVERLAY = "1.2.840.10008.5.1.4.1.1.8"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with media_node(tmp_path_factory.mktemp("terms")) as running:
        yield running


def mounted(*words: str | Path) -> None:
    if subprocess.run(["mount", *map(str, words)], capture_output=True).returncode:
        pytest.skip("needs the right to mount")


def of_two_patients(node: NodeProcess, folder: Path) -> list[Any]:
    """A study that belongs to two: no DICOMDIR can say that (PS3.3 F.5.2)."""
    first = instance(21, study=7)
    second = instance(22, study=7, PatientID="P9", StudyInstanceUID=first.StudyInstanceUID)
    second.SeriesInstanceUID = f"{first.SeriesInstanceUID}.9"
    dcmsend(node.port, save(first, folder / "1"), save(second, folder / "2")).check()
    return [first, second]


def without_a_record(node: NodeProcess, folder: Path) -> list[Any]:
    """A class whose record type is retired."""
    made = instance(31, study=8, SOPClassUID=OVERLAY)
    dcmsend(node.port, save(made, folder / "1")).check()
    return [made]


def lost(node: NodeProcess, folder: Path) -> list[Any]:
    """An object whose file somebody has removed."""
    known = set(node.objects())
    (made,) = stored(node, folder, 1, study=9)
    (path,) = set(node.objects()) - known
    path.unlink()
    return [made]


@pytest.mark.parametrize(
    ("make", "info", "reasons"),
    [
        (of_two_patients, "DIR_PROC_ERR", [0x0110]),
        (without_a_record, "NOT_SUPPORTED", [0x0122]),
        (lost, "PROC_FAILURE", [0x0110]),
    ],
)
def test_what_cannot_be_made_is_said_by_its_term(
    node: NodeProcess,
    tmp_path: Path,
    make: Callable[[NodeProcess, Path], list[Any]],
    info: str,
    reasons: list[int],
) -> None:
    found = over(node, asked(node, request_for(make(node, tmp_path))))
    assert (found.ExecutionStatus, found.ExecutionStatusInfo) == ("FAILURE", info)
    assert list(failures(found).values()) == reasons


def test_a_cancellation_that_cannot_be_kept_is_denied(node: NodeProcess, tmp_path: Path) -> None:
    """C203H (PS3.4 S.3.2.3.4): for our disk fails, whatever the request is about."""
    images = stored(node, tmp_path / "in", 1)
    uid = generate_uid()
    with requester(node) as scu:
        assert scu.create(request_for(images), uid).Status == 0
        (state,) = (node.folder / "state").rglob(f"{uid}.json")
        mounted("--bind", state, state)  # What is mounted on cannot be removed.
        try:
            assert scu.cancel(uid) == 0xC203
            assert scu.get(uid)[1].ExecutionStatus == "IDLE"
        finally:
            subprocess.run(["umount", state], check=True)
        assert scu.cancel(uid) == 0
        assert scu.get(uid)[0].Status == 0x0112


def test_a_full_medium_is_out_of_supplies_until_there_is_room(tmp_path: Path) -> None:
    (tmp_path / "media").mkdir()
    mounted("-t", "tmpfs", "-o", "size=300k", "gantry-test", tmp_path / "media")
    try:
        with media_node(tmp_path) as node:
            images = stored(node, tmp_path / "in", 2, size=400)
            uid = asked(node, request_for(images))
            until(
                lambda: result(node, uid).ExecutionStatusInfo == "OUT_OF_SUPPLIES",
                lambda: node.log,
            )
            assert result(node, uid).ExecutionStatus == "PENDING"
            mounted("-o", "remount,size=4m", tmp_path / "media")
            assert over(node, uid).ExecutionStatus == "DONE"
    finally:
        subprocess.run(["umount", "-l", tmp_path / "media"], check=True)


def test_a_device_that_cannot_work_is_said_to_have_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images of discs are made by xorriso; here it finds a library that is none."""
    (tmp_path / "libraries").mkdir()
    (tmp_path / "libraries" / "libisoburn.so.1").touch()
    monkeypatch.setitem(running_node.ENVIRONMENT, "LD_LIBRARY_PATH", f"{tmp_path}/libraries")
    with media_node(tmp_path, 'kind = "image"\npatience = "1 s"\n') as node:
        images = stored(node, tmp_path / "in", 1)
        found = over(node, asked(node, request_for(images)))
        assert (found.ExecutionStatus, found.ExecutionStatusInfo) == ("FAILURE", "MCD_FAILURE")


def test_what_is_never_said_is_what_no_part_of_us_could_know() -> None:
    """All terms of C.22.1.3 but those of a device with people of its own, or that is shared."""
    unsaid = {"CHECK_MCD_SRV", "INSUFFIC_MEMORY", "MCD_BUSY", "UNKNOWN"}
    assert set(EXECUTION_STATUS_INFO) - SAID_BY_US == unsaid
