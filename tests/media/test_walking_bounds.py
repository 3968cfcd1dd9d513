"""Folders without end, and links that appear between a look and the next."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.errors import StorageError
from agent.media import tree
from agent.media.found import Damage
from agent.media.reading import found_in
from agent.media.tree import FolderTree
from tests.media.instances import instance, save


def split(found: list[str | Damage]) -> tuple[list[str], list[Damage]]:
    return (
        [each for each in found if isinstance(each, str)],
        [each for each in found if isinstance(each, Damage)],
    )


def test_folders_that_hold_each_other_too_deeply_are_told(tmp_path: Path) -> None:
    place = tmp_path
    for _ in range(tree.DEEPEST + 10):
        place = place / "D"
        place.mkdir()
        (place / "F").write_text("")
    files, damage = split(list(FolderTree(tmp_path).files()))
    assert len(files) == tree.DEEPEST
    assert [each.reason for each in damage] == ["there are more than 64 folders in each other"]


def test_more_files_than_a_medium_has_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "MOST_FILES", 50)
    for folder in "ABC":
        (tmp_path / folder).mkdir()
        for number in range(20):
            (tmp_path / folder / str(number)).write_text("")
    files, damage = split(list(FolderTree(tmp_path).files()))
    assert len(files) == 40
    assert [each.file for each in damage] == ["C"]


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_link_made_after_the_look_is_not_followed(tmp_path: Path, what: str) -> None:
    (tmp_path / "set" / "D").mkdir(parents=True)
    save(instance(1), tmp_path / "set" / "D" / "I1")
    save(instance(2), tmp_path / "secret" / "I1")
    medium = FolderTree(tmp_path / "set")
    name = medium.real_name("D\\I1")
    assert name == "D/I1" and list(medium.files()) == [name]
    place = tmp_path / "set" / ("D/I1" if what == "file" else "D")
    place.rename(tmp_path / "away")
    place.symlink_to(tmp_path / "secret" / ("I1" if what == "file" else ""))
    with pytest.raises(OSError):
        medium.open(name)


def test_a_pipe_made_after_the_look_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "I1")
    with pytest.raises(StorageError, match="no file any more"):
        FolderTree(tmp_path).open("I1")


def test_a_link_that_stays_inside_is_followed(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    save(instance(1), tmp_path / "set" / "REAL")
    (tmp_path / "set" / "I1").symlink_to("REAL")
    medium = FolderTree(tmp_path / "set")
    name = medium.real_name("I1")
    assert name == "REAL"
    os.close(medium.open(name))
    assert [each.file for each in found_in(tmp_path / "set")] == ["REAL"]
