"""Whatever stands in a DICOMDIR or a file: reading ends, raises nothing, and stays inside."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.errors import GantryError, StorageError
from agent.media.application_profiles import profile_of
from agent.media.checking import check
from agent.media.file_ids import FileNames, fault_of, parts_of
from agent.media.file_set import FileSetWriter
from agent.media.found import FoundInstance
from agent.media.reading import found_in
from tests.media.instances import files_of, instance, save
from tests.media.test_writing import CREATOR, made

WITHOUT_LIMITS = settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def a_set(tmp_path: Path) -> Path:
    made(tmp_path / "set", files_of(tmp_path / "in"))
    return tmp_path / "set"


@WITHOUT_LIMITS
@given(seed=st.integers(0, 2**32), changes=st.integers(1, 12), cut=st.floats(0.1, 2.0))
def test_a_directory_with_wrong_bytes_is_read_to_an_end(
    a_set: Path, seed: int, changes: int, cut: float
) -> None:
    path = a_set / "DICOMDIR"
    whole = path.read_bytes()
    try:
        chance = random.Random(seed)
        data = bytearray(whole)
        for _ in range(changes):
            at = chance.randrange(128, len(data))
            kind = chance.randrange(3)
            if kind == 0:
                data[at] = chance.randrange(256)
            elif kind == 1:
                data[at : at + 4] = chance.randrange(len(data)).to_bytes(4, "little")
            else:
                del data[at : at + chance.randrange(1, 40)]
        path.write_bytes(data[: int(len(data) * cut)])
        found = [each for each in found_in(a_set) if isinstance(each, FoundInstance)]
        assert len({each.file for each in found}) <= 9
        for _ in check(a_set):
            pass
        before = path.read_bytes()
        try:
            with FileSetWriter(a_set, profile_of("STD-GEN-CD"), CREATOR, update=True):
                pass
        except GantryError:
            pass
        assert path.read_bytes() == before
    finally:
        path.write_bytes(whole)


@WITHOUT_LIMITS
@given(seed=st.integers(0, 2**32), changes=st.integers(1, 8), cut=st.floats(0.0, 1.5))
def test_a_file_with_wrong_bytes_is_read_to_an_end(
    tmp_path: Path, seed: int, changes: int, cut: float
) -> None:
    path = save(instance(1), tmp_path / "IM1")
    chance = random.Random(seed)
    data = bytearray(path.read_bytes())
    for _ in range(changes):
        data[chance.randrange(len(data))] = chance.randrange(256)
    path.write_bytes(data[: int(len(data) * cut)])
    for each in found_in(tmp_path):
        assert each.file == "IM1"


@WITHOUT_LIMITS
@given(st.text(max_size=60))
def test_no_file_id_leads_out(tmp_path: Path, text: str) -> None:
    inside = tmp_path / "inside"
    inside.mkdir(exist_ok=True)
    (inside / "A").write_bytes(b"1")
    (tmp_path / "SECRET").write_bytes(b"2")
    names = FileNames(inside)
    for file_id in (text, f"..\\{text}", "..\\SECRET", "../SECRET", f"{tmp_path}\\SECRET"):
        name = names.real_name(file_id)
        assert name is None or (inside / name).resolve().is_relative_to(inside)
        if not fault_of(file_id):
            assert "/" not in file_id
            assert parts_of(file_id) == tuple(file_id.split("\\"))
    assert names.real_name("A") == "A"


def test_a_file_that_does_not_reach_the_disk_stops_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files are synced together, and all of them before the directory."""
    real, calls = os.fsync, []

    def fails_once(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 3:
            raise OSError(5, "Input/output error")
        real(descriptor)

    writer = FileSetWriter(tmp_path / "set", profile_of("STD-GEN-CD"), CREATOR)
    with writer:
        for number in range(1, 6):
            writer.add(save(instance(number), tmp_path / f"IM{number}"))
        monkeypatch.setattr(os, "fsync", fails_once)
        for _ in range(2):
            with pytest.raises(StorageError, match=r"I0000003: Input/output error"):
                writer.finish()
    assert not list((tmp_path / "set").glob("DICOMDIR*"))
    assert not list((tmp_path / "set").rglob("I0*"))


def test_files_are_synced_before_the_directory_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    made(tmp_path / "set", [save(instance(each), tmp_path / f"IM{each}") for each in range(1, 80)])
    directory = synced.index("DICOMDIR.NEW")
    names = [f"I{each:07}" for each in range(1, 80)]
    assert sorted(each for each in synced[:directory] if each.startswith("I")) == names
