"""No link below a folder is followed, whenever it was made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hal.beneath import folder_beneath, open_beneath

DESCRIPTORS = Path("/proc/self/fd")


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "file").write_text("secret")
    folder = tmp_path / "shared"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "file").write_text("theirs")
    return folder


def test_a_file_is_read(shared: Path) -> None:
    descriptor = open_beneath(shared, "a/b/file")
    try:
        assert os.read(descriptor, 100) == b"theirs"
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("name", ["", ".", "..", "a/../../secret/file", "/etc/passwd", "a//b/file"])
def test_names_that_lead_out_are_refused(shared: Path, name: str) -> None:
    with pytest.raises(PermissionError):
        open_beneath(shared, name)


@pytest.mark.parametrize("linked", ["a", "a/b", "a/b/file"])
@pytest.mark.parametrize("target", ["../secret", "/", "b"])
def test_links_on_the_way_are_refused(shared: Path, linked: str, target: str) -> None:
    place = shared / linked
    place.rename(shared / "moved")
    place.symlink_to(target)
    before = len(list(DESCRIPTORS.iterdir()))
    with pytest.raises(OSError):
        open_beneath(shared, "a/b/file")
    assert len(list(DESCRIPTORS.iterdir())) == before


def test_what_was_opened_stays_what_it_was(shared: Path, tmp_path: Path) -> None:
    with folder_beneath(shared, ["a", "b"]) as place:
        (shared / "a" / "b").rename(shared / "away")
        (shared / "a" / "b").symlink_to(tmp_path / "secret")
        assert os.stat("file", dir_fd=place).st_size == len("theirs")
        os.unlink("file", dir_fd=place)
    assert (tmp_path / "secret" / "file").exists()


def test_a_pipe_is_not_waited_for(shared: Path) -> None:
    os.mkfifo(shared / "pipe")
    os.close(open_beneath(shared, "pipe"))


def test_folders_are_made_and_none_through_a_link(shared: Path, tmp_path: Path) -> None:
    with folder_beneath(shared, ["new", "newer"], make=True):
        assert (shared / "new" / "newer").is_dir()
    (shared / "out").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError):
        with folder_beneath(shared, ["out", "made"], make=True):
            pass
    assert [each.name for each in (tmp_path / "secret").iterdir()] == ["file"]
