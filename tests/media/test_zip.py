"""ZIP files with a file-set (PS3.12 V): for others, from others, and hostile ones."""

from __future__ import annotations

import os
import random
import shutil
import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from agent.errors import StorageError
from agent.media.checking import check
from agent.media.found import Damage, FoundInstance
from agent.media.reading import found_in
from agent.media.zip_format import CENTRAL, LOCAL
from agent.media.zip_reading import entries_of, unpack
from agent.media.zip_writing import ZipWriter
from tests.media.instances import files_of
from tests.media.packed_files import names_below, zipped
from tests.media.test_writing import judged, made, uids_by_pydicom
from tests.peers.programs import program, run

UIDS = 9
"""Instances of the file-set."""


@pytest.fixture(scope="module")
def file_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("zip")
    made(folder / "set", files_of(folder / "in"))
    return folder / "set"


def read(path: Path) -> tuple[list[FoundInstance], list[Damage]]:
    found = list(found_in(path))
    return (
        [each for each in found if isinstance(each, FoundInstance)],
        [each for each in found if isinstance(each, Damage)],
    )


@pytest.mark.peer
def test_unzip_and_python_find_every_byte_that_we_wrote(file_set: Path, tmp_path: Path) -> None:
    archive = zipped(file_set, tmp_path / "a.zip")
    run([program("unzip", "unzip"), "-t", archive]).check()
    run([program("unzip", "unzip"), "-q", archive, "-d", tmp_path / "out"]).check()
    assert names_below(tmp_path / "out") == names_below(file_set)
    for name in names_below(file_set):
        assert (tmp_path / "out" / name).read_bytes() == (file_set / name).read_bytes()
    with zipfile.ZipFile(archive) as theirs:
        assert theirs.testzip() is None
    judged(tmp_path / "out")
    assert len(uids_by_pydicom(tmp_path / "out")) == UIDS


def test_the_same_files_give_the_same_archive(file_set: Path, tmp_path: Path) -> None:
    first = zipped(file_set, tmp_path / "a.zip").read_bytes()
    os.utime(file_set / "DICOMDIR", (1e9, 1e9))
    assert zipped(file_set, tmp_path / "b.zip").read_bytes() == first


def test_our_archive_is_read_as_its_folder_is(file_set: Path, tmp_path: Path) -> None:
    found, damage = read(zipped(file_set, tmp_path / "a.zip"))
    assert (found, damage) == read(file_set)
    assert len(found) == UIDS
    assert not list(check(tmp_path / "a.zip"))


@pytest.mark.peer
@pytest.mark.parametrize("words", [["-r"], ["-r0"], ["-r9D"], ["-rX"]])
def test_archives_by_info_zip_are_read(file_set: Path, tmp_path: Path, words: list[str]) -> None:
    archive = tmp_path / "a.zip"
    run([program("zip", "zip"), "-q", *words, archive, "."], folder=file_set).check()
    assert [len(each) for each in read(archive)] == [UIDS, 0]


@pytest.mark.peer
def test_what_is_piped_has_its_sizes_behind_the_content(file_set: Path, tmp_path: Path) -> None:
    piped = tmp_path / "a.zip"
    command = f"{program('zip', 'zip')} -qr - . | cat > {piped}"
    run(["sh", "-c", command], folder=file_set).check()
    assert [len(each) for each in read(piped)] == [UIDS, 0]


def test_a_file_set_in_a_folder_of_the_archive_is_found(file_set: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as theirs:
        for name in names_below(file_set):
            theirs.write(file_set / name, f"Müller, 2026/{name.lower()}")
    assert [len(each) for each in read(tmp_path / "a.zip")] == [UIDS, 0]


def test_an_archive_without_a_directory_is_walked(file_set: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as theirs:
        theirs.writestr("README.TXT", "nothing")
        theirs.writestr("RUN.EXE", b"MZ" * 1000)
        for name in names_below(file_set):
            if name != "DICOMDIR":
                theirs.write(file_set / name, f"a very long name for {name}.dcm")
    assert [len(each) for each in read(tmp_path / "a.zip")] == [UIDS, 0]


def test_something_may_stand_before_the_archive(file_set: Path, tmp_path: Path) -> None:
    archive = zipped(file_set, tmp_path / "a.zip").read_bytes()
    descriptor = os.memfd_create("archive")
    os.write(descriptor, b"#!/bin/sh\n" * 7 + archive)
    assert len(list(entries_of(descriptor))) == UIDS + 1
    os.close(descriptor)


def written(path: Path, name: str, content: bytes, **more: int) -> Path:
    """An archive with one entry whose headers lie as `more` says."""
    raw = zlib.compress(content)[2:-4]
    fields = {
        "flags": 0,
        "method": 8,
        "crc": zlib.crc32(content),
        "packed": len(raw),
        "size": len(content),
        "made_by": 0x0314,
        "attributes": 0,
    } | more
    label = name.encode()
    common = (fields["flags"], fields["method"], 0, 33)
    sizes = (fields["crc"], fields["packed"], fields["size"], len(label), 0)
    local = LOCAL.pack(b"PK\3\4", 20, *common, *sizes) + label + raw
    central = CENTRAL.pack(
        b"PK\1\2", fields["made_by"], 20, *common, *sizes, 0, 0, 0, fields["attributes"], 0
    )
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1, 1, len(central + label), len(local), 0)
    path.write_bytes(local + central + label + end)
    return path


@pytest.mark.parametrize(
    ("name", "more", "reason"),
    [
        ("../../etc/cron.d/x", {}, "its name leads out of the ZIP file"),
        ("/etc/passwd", {}, "its name leads out of the ZIP file"),
        ("C:\\WINDOWS\\X", {}, "its name leads out of the ZIP file"),
        ("DICOM\\..\\..\\X", {}, "its name leads out of the ZIP file"),
        ("X", {"flags": 1}, "it is encrypted as ZIP files are"),
        ("X", {"flags": 0x41}, "it is encrypted as ZIP files are"),
        ("X", {"method": 14}, "its compression method is 14"),
        ("X", {"attributes": 0o120777 << 16}, "it is a link"),
        ("X", {"crc": 1}, "its checksum is wrong"),
        ("X", {"size": 100}, "it holds more than the 100 bytes"),
        ("X", {"size": 100_000}, "of 100000 bytes: it seems cut off"),
        ("X", {"packed": 20}, "seems cut off"),
    ],
)
def test_an_entry_that_cannot_be_had_is_named_with_the_reason(
    file_set: Path, tmp_path: Path, name: str, more: dict[str, int], reason: str
) -> None:
    image = next(each for each in names_below(file_set) if each != "DICOMDIR")
    archive = written(tmp_path / "a.zip", name, (file_set / image).read_bytes(), **more)
    before = set(tmp_path.iterdir())
    found, damage = read(archive)
    assert not found
    assert len(damage) == 1 and reason in damage[0].reason
    assert set(tmp_path.iterdir()) == before


@pytest.mark.peer
def test_an_encrypted_archive_is_said_to_be_one(file_set: Path, tmp_path: Path) -> None:
    words = ["-qrP", "secret", tmp_path / "a.zip", "."]
    run([program("zip", "zip"), *words], folder=file_set).check()
    found, damage = read(tmp_path / "a.zip")
    assert not found
    assert all("it is encrypted as ZIP files are" in each.reason for each in damage)
    assert any(each.file == "DICOMDIR" for each in damage)


def test_a_small_file_that_claims_to_be_huge_is_refused(tmp_path: Path) -> None:
    content = bytes(1 << 20)
    archive = written(tmp_path / "a.zip", "X", content, size=3 << 30)
    with pytest.raises(StorageError, match="claims to hold 3221225472"):
        read(archive)


def test_entries_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    """The way in which a bomb gets beyond the ratio of deflate."""
    archive = written(tmp_path / "a.zip", "X", random.Random(1).randbytes(10_000)).read_bytes()
    start = archive.index(b"PK\1\2")
    central = archive[start : archive.index(b"PK\5\6")]
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 99, 99, 99 * len(central), start, 0)
    (tmp_path / "b.zip").write_bytes(archive[:start] + 99 * central + end)
    with pytest.raises(StorageError, match="claims to hold"):
        read(tmp_path / "b.zip")


def test_no_more_is_unpacked_than_was_claimed(tmp_path: Path) -> None:
    archive = written(tmp_path / "a.zip", "X", bytes(8 << 20), size=1000)
    source = os.open(archive, os.O_RDONLY)
    target = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT)
    (entry,) = entries_of(source)
    assert not isinstance(entry, Damage)
    with pytest.raises(StorageError, match="holds more than the 1000 bytes"):
        unpack(source, entry, target)
    assert os.fstat(target).st_size == 0
    os.close(source)
    os.close(target)


def test_archives_that_were_cut_or_changed_come_to_an_end(file_set: Path, tmp_path: Path) -> None:
    whole = zipped(file_set, tmp_path / "a.zip").read_bytes()
    chance = random.Random(7)
    for number in range(100):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 6)):
            data[chance.randrange(len(data) - 1400, len(data))] = chance.randrange(256)
        if number % 3 == 0:
            del data[chance.randrange(len(data)) :]
        (tmp_path / "b.zip").write_bytes(b"PK\3\4" + data[4:])
        try:
            found, _ = read(tmp_path / "b.zip")
        except StorageError as error:
            assert str(tmp_path) in str(error)
        else:
            assert len(found) <= UIDS


@pytest.mark.parametrize("what", [b"", b"JFIF", b"PK\3\4", b"PK\5\6" + bytes(18)])
def test_what_is_no_archive_is_said_to_be_none(tmp_path: Path, what: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(what)
    if what.startswith(b"PK\5\6"):
        assert read(tmp_path / "a.zip") == ([], [])  # an empty one
        return
    with pytest.raises(StorageError, match=r"neither a folder nor|is damaged"):
        read(tmp_path / "a.zip")


def test_more_entries_than_16_bits_count_need_zip64(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"content")
    source = os.open(tmp_path / "x", os.O_RDONLY)
    target = os.open(tmp_path / "a.zip", os.O_RDWR | os.O_CREAT)
    with ZipWriter(target) as writer:
        for number in range(66_000):
            writer.add(f"I{number:07}", source)
        writer.finish()
    assert sum(1 for _ in entries_of(target)) == 66_000
    with zipfile.ZipFile(tmp_path / "a.zip") as theirs:
        assert len(theirs.namelist()) == 66_000
        assert theirs.read("I0065999") == b"content"
    os.close(source)
    os.close(target)


@pytest.mark.long
@pytest.mark.peer
def test_a_file_beyond_4_gib_needs_zip64(tmp_path: Path) -> None:
    if shutil.disk_usage(tmp_path).free < 6 << 30:
        pytest.skip("wants 6 GiB")
    with (tmp_path / "x").open("wb") as file:
        file.write(os.urandom(1 << 16))  # what a sample of is not deflated
        file.truncate((4 << 30) + 5)
    source = os.open(tmp_path / "x", os.O_RDONLY)
    target = os.open(tmp_path / "a.zip", os.O_RDWR | os.O_CREAT)
    with ZipWriter(target) as writer:
        writer.add("LARGE", source)
        writer.add("BEHIND", source)
        writer.finish()
    run([program("unzip", "unzip"), "-tq", tmp_path / "a.zip"], seconds=300).check()
    sizes = [each.size for each in entries_of(target) if not isinstance(each, Damage)]
    assert sizes == [(4 << 30) + 5] * 2
    os.close(source)
    os.close(target)
