"""Files of a watched folder are deleted and moved; links that others make there lead nobody out."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from agent.errors import StorageError
from agent.workflow import folder_filing
from hal.folder.base import FileComplete, FileVersion


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    (tmp_path / "archive").mkdir()
    (tmp_path / "shared" / "room").mkdir(parents=True)
    return tmp_path / "shared"


def put(shared: Path, name: str, content: str = "x") -> FileComplete:
    place = shared / name
    place.write_text(content)
    return FileComplete(name, FileVersion.of(place.stat()))


def test_a_file_is_deleted_and_another_version_stays(shared: Path) -> None:
    file = put(shared, "room/1")
    folder_filing.delete(str(shared), file)
    assert not (shared / "room" / "1").exists()
    folder_filing.delete(str(shared), file)
    put(shared, "room/1", "other")
    folder_filing.delete(str(shared), file)
    assert (shared / "room" / "1").read_text() == "other"


@pytest.mark.parametrize("kept", ["shared/.failed", "elsewhere/failed"])
def test_a_file_is_moved_with_its_reason_and_replaces_nothing(
    shared: Path, tmp_path: Path, kept: str
) -> None:
    place = str(tmp_path / kept)
    names = []
    for number in range(3):
        file = put(shared, "room/1", str(number))
        names.append(folder_filing.move(str(shared), file, place, f"reason {number}"))
    assert names == [f"{place}/room/1{end}" for end in ("", "-1", "-2")]
    for number, name in enumerate(names):
        assert Path(name).read_text() == str(number)
        assert Path(f"{name}.reason").read_text() == f"reason {number}\n"
    assert folder_filing.move(str(shared), file, place, "") == ""


def test_another_file_system_takes_a_copy(shared: Path, tmp_path: Path) -> None:
    memory = Path("/dev/shm")
    if memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("both are one file system")
    place = memory / f"kept-{os.getpid()}"
    try:
        file = put(shared, "room/1", "content")
        name = folder_filing.move(str(shared), file, str(place), "")
        assert Path(name).read_text() == "content"
        assert [each.name for each in (place / "room").iterdir()] == ["1"]
        assert not (shared / "room" / "1").exists()
    finally:
        shutil.rmtree(place, ignore_errors=True)


def test_a_folder_that_became_a_link_deletes_and_moves_nothing_elsewhere(
    shared: Path, tmp_path: Path
) -> None:
    file = put(shared, "room/1")
    # The very file, so that its version fits: only the way to it is another.
    (shared / "room").rename(tmp_path / "archive" / "room")
    (shared / "room").symlink_to(tmp_path / "archive" / "room")
    folder_filing.delete(str(shared), file)
    assert folder_filing.move(str(shared), file, str(shared / ".done"), "") == ""
    assert (tmp_path / "archive" / "room" / "1").exists()


@pytest.mark.parametrize("linked", [".failed", ".failed/room"])
def test_a_kept_folder_that_became_a_link_takes_nothing_elsewhere(
    shared: Path, tmp_path: Path, linked: str
) -> None:
    file = put(shared, "room/entry.json", "{}")
    (shared / linked).parent.mkdir(exist_ok=True)
    (shared / linked).symlink_to(tmp_path / "archive")
    with pytest.raises(StorageError, match="does not let us"):
        folder_filing.move(str(shared), file, str(shared / ".failed"), "no DICOM")
    assert not list((tmp_path / "archive").iterdir())
    assert (shared / "room" / "entry.json").exists()


def test_a_reason_is_not_written_through_a_link(shared: Path, tmp_path: Path) -> None:
    file = put(shared, "room/1")
    (shared / ".failed" / "room").mkdir(parents=True)
    victim = tmp_path / "archive" / "victim"
    victim.write_text("mine")
    (shared / ".failed" / "room" / "1.reason").symlink_to(victim)
    name = folder_filing.move(str(shared), file, str(shared / ".failed"), "no DICOM")
    assert victim.read_text() == "mine"
    assert Path(f"{name}.reason").read_text() == "no DICOM\n"
