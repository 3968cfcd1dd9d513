"""The ways in besides the network, through a running node: folders and capture devices."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from agent.dataset.file_meta import read_file_meta
from agent.errors import GantryError
from tests.node.running import NodeProcess, peer_table
from tests.objects.wrong_errors import is_wrong
from tests.peers.dcmtk import DcmtkStoreScp
from tests.peers.dicom3tools import dciodvfy
from tests.peers.process import process_tree

CT = Path(str(get_testdata_file("CT_small.dcm")))
MR = Path(str(get_testdata_file("MR_small.dcm")))
BARE = Path(str(get_testdata_file("no_meta.dcm")))


def _folder(path: Path, more: str = "") -> str:
    return f'[[folder]]\nname = "drop"\npath = "{path}"\nsettle = "0.3 s"\n{more}'


def _drop(source: Path, drop: Path, name: str) -> None:
    """Copies a file into a folder that is watched, whole at once: between two steps of a copy a
    test can be held up for longer than the folder's `settle`."""
    beside = drop.parent / "copied"
    shutil.copy(source, beside)
    beside.rename(drop / name)


def _until(holds: Callable[[], bool], node: NodeProcess, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, node.log[-3000:]
        time.sleep(0.05)


def _instances(node: NodeProcess) -> int:
    return int(node.ask("status")["archives"][0]["counts"]["instances"])


def _data_set_of(path: Path) -> bytes:
    with path.open("rb") as file:
        meta = read_file_meta(file.fileno())
        return path.read_bytes()[meta.data_set_offset :]


def test_what_is_dropped_into_a_folder_is_stored_byte_for_byte_and_goes_away(
    tmp_path: Path,
) -> None:
    drop = tmp_path / "drop"
    drop.mkdir()
    shutil.copy(CT, drop / "before.dcm")
    with NodeProcess(tmp_path / "node", _folder(drop)) as node:
        _until(lambda: _instances(node) == 1, node)
        (drop / "inner").mkdir()
        _drop(MR, drop, "inner/after")
        _until(lambda: _instances(node) == 2 and not (drop / "inner" / "after").exists(), node)
        _until(lambda: not (drop / "before.dcm").exists(), node)
        kept = {_data_set_of(each) for each in node.objects()}
        assert kept == {_data_set_of(CT), _data_set_of(MR)}


def test_a_file_without_file_meta_information_is_mended_and_taken(tmp_path: Path) -> None:
    drop = tmp_path / "drop"
    drop.mkdir()
    bare = _data_set_of(CT)
    (drop / "bare").write_bytes(bare)
    with NodeProcess(tmp_path / "node", _folder(drop)) as node:
        _until(lambda: _instances(node) == 1, node)
        assert [_data_set_of(each) for each in node.objects()] == [bare]
        assert "file mended" in node.log


def test_what_is_no_object_is_put_aside_with_the_reason_and_holds_up_nobody(
    tmp_path: Path,
) -> None:
    drop = tmp_path / "drop"
    drop.mkdir()
    for number in range(20):
        (drop / f"{number}.txt").write_text(
            "no object at all, and long enough to be looked into" * 9
        )
    shutil.copy(CT, drop / "z.dcm")
    with NodeProcess(tmp_path / "node", _folder(drop)) as node:
        _until(lambda: _instances(node) == 1, node)
        _until(lambda: len(list((drop / ".failed").glob("*.txt"))) == 20, node)
        reason = (drop / ".failed" / "7.txt.reason").read_text()
        assert "not a DICOM file" in reason
        _until(lambda: [each.name for each in drop.iterdir()] == [".failed"], node)


def test_a_file_that_is_moved_when_done_keeps_what_was_there_under_its_name(
    tmp_path: Path,
) -> None:
    drop, done = tmp_path / "drop", tmp_path / "done"
    drop.mkdir()
    done.mkdir()
    (done / "a.dcm").write_text("something else")
    shutil.copy(CT, drop / "a.dcm")
    more = f'then = "move"\ndone = "{done}"\n'
    with NodeProcess(tmp_path / "node", _folder(drop, more)) as node:
        _until(lambda: (done / "a.dcm-1").exists(), node)
        assert (done / "a.dcm").read_text() == "something else"
        assert (done / "a.dcm-1").read_bytes() == CT.read_bytes()
        _until(lambda: not list(drop.glob("*.dcm")), node)


def test_a_folder_that_is_kept_is_taken_once_over_restarts_and_kills(tmp_path: Path) -> None:
    drop = tmp_path / "drop"
    drop.mkdir()
    for number in range(30):
        data_set = dcmread(MR)
        data_set.SOPInstanceUID = f"1.2.3.{number}"
        data_set.file_meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID
        data_set.save_as(drop / f"{number}.dcm")
    node = NodeProcess(tmp_path / "node", _folder(drop, 'then = "keep"\n'))
    for _ in range(3):
        node.start()
        time.sleep(0.2)
        node.kill()
    with node:
        _until(lambda: _instances(node) == 30, node)
        _until(lambda: node.log.count("file taken") >= 30, node)
        assert _instances(node) == 30
        assert len(list(drop.glob("*.dcm"))) == 30


def test_a_folder_that_comes_with_a_reload_is_watched_and_one_that_goes_is_not(
    tmp_path: Path,
) -> None:
    drop = tmp_path / "drop"
    drop.mkdir()
    with NodeProcess(tmp_path / "node") as node:
        node.write(_folder(drop))
        node.ask("reload")
        _drop(CT, drop, "a.dcm")
        _until(lambda: _instances(node) == 1, node)
        node.write("")
        node.ask("reload")
        _drop(MR, drop, "b.dcm")
        time.sleep(1.0)
        assert (drop / "b.dcm").exists()


def test_a_folder_whose_worker_is_killed_is_looked_through_again(tmp_path: Path) -> None:
    drop = tmp_path / "drop"
    drop.mkdir()
    with NodeProcess(tmp_path / "node", _folder(drop)) as node:
        _drop(CT, drop, "a.dcm")
        _until(lambda: _instances(node) == 1, node)
        os.kill(_watcher_of(node), signal.SIGKILL)
        _drop(MR, drop, "b.dcm")
        _until(lambda: _instances(node) == 2, node)


def _watcher_of(node: NodeProcess) -> int:
    assert node.process is not None
    for pid in process_tree(node.process.pid):
        if any("inotify" in str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()):
            return pid
    raise AssertionError("no process of the node watches a folder")


def test_a_capture_station_makes_valid_objects_and_delivers_them(
    tmp_path: Path, dcmtk_storescp: DcmtkStoreScp
) -> None:
    capture = (
        '[[capture]]\nname = "video"\nmodality = "US"\n[capture.settings]\nwidth = 160\n'
        "height = 120\n"
    )
    with NodeProcess(tmp_path / "node", capture + peer_table("PACS", dcmtk_storescp.port)) as node:
        made = node.ask(
            "capture", stills=2, clips=1, frames=5, patient_id="P1", patient_name="Test^One"
        )
        assert [each["frames"] for each in made] == [1, 1, 5]
        objects = [dcmread(each) for each in node.objects()]
        assert {each.PatientID for each in objects} == {"P1"}
        assert len({each.SeriesInstanceUID for each in objects}) == 1
        assert sorted(each.SOPInstanceUID for each in objects) == sorted(
            each["sop_instance_uid"] for each in made
        )
        for path, each in zip(node.objects(), objects, strict=True):
            errors = [line for line in dciodvfy(path) if not is_wrong(line, each.SOPClassUID, "")]
            assert not errors
        node.wait_until_delivered("PACS")
        assert len(list(dcmtk_storescp.received_folder.iterdir())) == 3


@pytest.mark.parametrize("setting", ['pattern = "nobody"', "speed = 3"])
def test_a_device_that_cannot_be_had_is_told_to_who_asked(tmp_path: Path, setting: str) -> None:
    more = f'[[capture]]\nname = "video"\n[capture.settings]\n{setting}\n'
    with NodeProcess(tmp_path / "node", more) as node:
        with pytest.raises(GantryError):
            node.ask("capture")
        with pytest.raises(GantryError, match="there is no capture device other"):
            node.ask("capture", device="other")
        assert _instances(node) == 0


def test_retention_makes_room_by_age_and_never_takes_what_is_still_to_be_sent(
    tmp_path: Path,
) -> None:
    drop = tmp_path / "drop"
    drop.mkdir()
    shutil.copy(CT, drop / "a.dcm")
    shutil.copy(MR, drop / "b.dcm")
    retention = (
        '[[archive]]\nname = "main"\n[archive.retention]\ndelete = "by-age"\nafter = "received"\n'
        "age = 0\nkeep = 0\n"
    )
    waiting = peer_table("NOBODY", 9) + '[route.match]\nmodality = ["CT"]\n'
    with NodeProcess(tmp_path / "node", retention + _folder(drop) + waiting) as node:
        _until(lambda: "deleted by retention" in node.log, node)
        _until(lambda: _instances(node) == 1, node)
        # A file goes after its row.
        _until(lambda: len(node.objects()) == 1, node)
        assert [dcmread(each).Modality for each in node.objects()] == ["CT"]
