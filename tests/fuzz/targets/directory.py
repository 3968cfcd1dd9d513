"""DICOMDIR files: walked, checked, and followed to the files that they name (PS3.10 8)."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from agent.media.application_profiles import profile_of
from agent.media.checking import check
from agent.media.file_set import FileSetWriter
from agent.media.found import FoundInstance
from agent.media.reading import found_in
from tests.fuzz.target import Target, dicom_files
from tests.media.instances import instance, save
from tests.media.test_writing import CREATOR


def _made(folder: Path) -> Path:
    sources = [save(instance(number), folder / f"in{number}") for number in (1, 2)]
    with FileSetWriter(folder / "set", profile_of("STD-GEN-CD"), CREATOR) as writer:
        for each in sources:
            writer.add(each)
        writer.finish()
    return folder / "set"


@cache
def _folder(name: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def example_set() -> Path:
    """A file-set with two instances, as it was made."""
    return _made(_folder("example"))


@cache
def _changed_set() -> Path:
    """One whose DICOMDIR is written anew for each input, with a link that leads out."""
    folder = _made(_folder("changed"))
    (folder / "OUT").symlink_to(folder.parent / "in1")
    return folder


def run(data: bytes) -> None:
    """As DICOMDIR beside two instances of ours."""
    folder = _changed_set()
    (folder / "DICOMDIR").write_bytes(data)
    for found in found_in(folder):
        if isinstance(found, FoundInstance):
            assert (folder / found.file).resolve().is_relative_to(folder.resolve()), found.file
    for _ in check(folder):
        pass


def seeds() -> Iterator[bytes]:
    """Ours, and those of pydicom."""
    yield (example_set() / "DICOMDIR").read_bytes()
    yield from (each for each in dicom_files(1 << 14) if b"1.2.840.10008.1.3.10" in each[:400])


TARGET = Target(run, seeds, longest=1 << 14)
