"""Images of discs made, burnt and read back, judged by isoinfo and by xorriso's own reading."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hal.removable import optical
from hal.removable.base import (
    MediumFull,
    MediumGone,
    NotMountable,
    NotWritten,
    WriteProtected,
    WrongSettings,
)
from hal.removable.discs import burn, check_names, make_image, verify
from hal.removable.optical import DriveStatus, look_into
from hal.removable.xorriso import extract
from tests.hal.removable_contract import FILES
from tests.peers.programs import missing, program, run

HEADER = Path("/usr/include/linux/cdrom.h")
MORE = {"README.TXT": b"read me", "IMAGES/SERIES_1/IM2": b"\x00" * 5000}


@pytest.fixture(autouse=True)
def _xorriso() -> None:
    program("xorriso", "xorriso")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in (FILES | MORE).items():
        path = tmp_path / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "files"


@pytest.fixture
def image(folder: Path, tmp_path: Path) -> str:
    made = str(tmp_path / "disc.iso")
    make_image(str(folder), made, "FILE_SET_1")
    return made


def isoinfo(image: str, *words: str) -> str:
    return run([program("genisoimage", "isoinfo"), "-i", image, *words]).check().output


def test_an_image_is_iso_9660_level_1_without_extensions(image: str) -> None:
    said = isoinfo(image, "-d")
    assert "Volume id: FILE_SET_1\n" in said
    assert "NO Joliet present" in said and "NO Rock Ridge present" in said
    assert set(isoinfo(image, "-f").split()) == {
        *("/IMAGES", "/IMAGES/SERIES_1"),
        *("/DICOMDIR.;1", "/IMAGES/IM1.;1", "/IMAGES/SERIES_1/IM2.;1", "/README.TXT;1"),
    }
    content = isoinfo(image, "-x", "/README.TXT;1")
    assert content == "read me"


def test_an_image_without_a_file_set_id_has_a_volume_identifier_of_spaces(
    folder: Path, tmp_path: Path
) -> None:
    make_image(str(folder), str(tmp_path / "a.iso"))
    with (tmp_path / "a.iso").open("rb") as file:
        file.seek(optical.VOLUME_DESCRIPTORS + 40)
        assert file.read(32) == b" " * 32


def test_progress_is_told_up_to_the_end(folder: Path, tmp_path: Path) -> None:
    told: list[float] = []
    (folder / "LARGE").write_bytes(os.urandom(1 << 20) * 100)
    make_image(str(folder), str(tmp_path / "a.iso"), "", told.append)
    assert told == sorted(told) and told[-1] == 1.0
    assert all(0 <= each <= 1 for each in told)
    seen: list[float] = []
    burn(str(tmp_path / "a.iso"), str(tmp_path / "burnt"), seen.append)
    assert seen[-1] == 1.0 and len(seen) > 1
    told.clear()
    verify(str(tmp_path / "a.iso"), str(tmp_path / "burnt"), told.append)
    assert len(told) > 50 and told[-1] == 1.0


def test_one_who_loses_patience_ends_the_work_and_leaves_nothing(
    folder: Path, tmp_path: Path
) -> None:
    class Enough(Exception):
        pass

    def stop(done: float) -> None:
        raise Enough

    with pytest.raises(Enough):
        make_image(str(folder), str(tmp_path / "a.iso"), "", stop)
    assert [path.name for path in tmp_path.iterdir()] == ["files"]


def test_a_burnt_disc_is_read_by_another_program_and_verified(image: str, tmp_path: Path) -> None:
    disc = str(tmp_path / "burnt")
    burn(image, disc)
    verify(image, disc)
    words = ["-no_rc", "-indev", f"stdio:{disc}", "-find", "/", "-type", "f", "-exec", "lsdl"]
    said = run([program("xorriso", "xorriso"), *words]).check().output
    assert {each[1:] for each in re.findall(r"'(/.*)'", said)} >= set(FILES | MORE)
    assert "Volume id    : 'FILE_SET_1'" in said


def test_a_disc_that_differs_or_ends_early_is_not_verified(image: str, tmp_path: Path) -> None:
    disc = tmp_path / "burnt"
    burn(image, str(disc))
    content = bytearray(disc.read_bytes())
    content[70_000] ^= 1
    disc.write_bytes(content)
    with pytest.raises(NotWritten, match="from byte 70000 on"):
        verify(image, str(disc))
    disc.write_bytes(Path(image).read_bytes()[:-1000])
    with pytest.raises(NotWritten, match=f"from byte {Path(image).stat().st_size - 1000} on"):
        verify(image, str(disc))
    with pytest.raises(MediumGone):
        verify(image, str(tmp_path / "nothing"))


def test_a_disc_that_is_not_blank_is_not_burnt(image: str, tmp_path: Path) -> None:
    disc = str(tmp_path / "burnt")
    burn(image, disc)
    before = Path(disc).read_bytes()
    with pytest.raises(WriteProtected, match="FILE_SET_1"):
        burn(image, disc)
    assert Path(disc).read_bytes() == before


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Path]:
    """A folder with room for 200 kB."""
    folder = tmp_path / "narrow"
    folder.mkdir()
    if (
        os.geteuid()
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "t", folder]).returncode
    ):
        pytest.skip("needs the right to mount a file system of a given size")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_what_does_not_fit_is_told(image: str, folder: Path, narrow: Path) -> None:
    with pytest.raises(MediumFull, match="does not fit"):
        burn(image, str(narrow / "disc"))
    (folder / "LARGE").write_bytes(os.urandom(400_000))
    with pytest.raises(MediumFull, match="does not fit"):
        make_image(str(folder), str(narrow / "a.iso"))
    assert list(narrow.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    ["image.dcm", "IM-1", "NINE_CHAR", "A.DICOM", "IM 1", "Ä", "A.B.C", "FOLDER.X/IM1"],
)
def test_names_that_a_disc_would_change_are_refused(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"x")
    with pytest.raises(WrongSettings, match=r"ISO 9660 Level 1"):
        make_image(str(folder), "/nowhere/a.iso")


def test_links_are_refused(folder: Path) -> None:
    (folder / "LINK").symlink_to("/etc/passwd")
    with pytest.raises(WrongSettings, match="LINK is neither"):
        check_names(str(folder))


@pytest.mark.parametrize(("levels", "fits"), [(7, True), (8, False)])
def test_folders_are_as_deep_as_the_standard_has_them(
    tmp_path: Path, levels: int, fits: bool
) -> None:
    deep = tmp_path.joinpath("files", *["D"] * levels)
    deep.mkdir(parents=True)
    (deep / "IM1").write_bytes(b"x")
    if not fits:
        with pytest.raises(WrongSettings, match="deeper than 8"):
            check_names(str(tmp_path / "files"))
        return
    image = str(tmp_path / "a.iso")
    make_image(str(tmp_path / "files"), image)
    assert "/D" * levels + "/IM1.;1" in isoinfo(image, "-f").split()


@pytest.mark.parametrize("file_set_id", ["lower", "A" * 17, "A-B", "Ä"])
def test_a_wrong_file_set_id_is_refused(folder: Path, file_set_id: str) -> None:
    with pytest.raises(WrongSettings, match="File-set ID"):
        make_image(str(folder), "/nowhere/a.iso", file_set_id)


def test_an_image_that_cannot_be_written_is_told(folder: Path) -> None:
    with pytest.raises((NotWritten, MediumGone)):
        make_image(str(folder), "/nowhere/a.iso")


def test_the_files_of_an_image_are_taken_out_again(image: str, tmp_path: Path) -> None:
    extract(image, str(tmp_path / "out"))
    for name, content in (FILES | MORE).items():
        assert (tmp_path / "out" / name).read_bytes() == content


def test_an_image_is_a_drive(image: str, tmp_path: Path) -> None:
    found = look_into(image)
    assert (found.status, found.label) == (DriveStatus.CDS_DISC_OK, "FILE_SET_1")
    assert found.has_data and not found.is_blank and not found.can_burn
    (tmp_path / "blank").touch()
    assert look_into(str(tmp_path / "blank")).is_blank
    (tmp_path / "noise").write_bytes(os.urandom(100_000))
    noise = look_into(str(tmp_path / "noise"))
    assert not noise.has_data and not noise.is_blank
    with pytest.raises(MediumGone):
        look_into(str(tmp_path / "nothing"))
    with pytest.raises(MediumGone, match=r"no optical drive|cannot be used"):
        look_into("/dev/null")


def test_joliet_and_udf_are_known(folder: Path, tmp_path: Path) -> None:
    made = tmp_path / "joliet.iso"
    words = ["-J", "-R", "-V", "JOLIET", "-o", made, folder]
    run([program("genisoimage", "genisoimage"), *words]).check()
    assert look_into(str(made))[3:] == ("JOLIET", "iso9660")
    made = tmp_path / "udf.img"
    made.touch()
    os.truncate(made, 4 << 20)
    words = ["--media-type=cdrw", "--blocksize=2048", "--label=A UDF", made]
    run([program("udftools", "mkudffs"), *words]).check()
    assert look_into(str(made)).file_system == "udf"


def test_an_image_that_is_no_image_cannot_be_taken_apart(tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(os.urandom(100_000))
    with pytest.raises((NotMountable, MediumGone)):
        extract(str(tmp_path / "noise"), str(tmp_path / "out"))


def test_numbers_are_those_of_the_kernel() -> None:
    if not HEADER.exists():
        missing("linux/cdrom.h", "apt-get install linux-libc-dev")
    said = dict(re.findall(r"#define\s+(C\w+)\s+(0x[0-9a-fA-F]+|\d+)\b", HEADER.read_text()))
    requests = [name for name in vars(optical) if name.startswith("CDROM")]
    assert len(requests) == 5
    numbers = {name: getattr(optical, name) for name in requests}
    for table in (optical.DriveStatus, optical.DiscStatus, optical.Capability):
        numbers |= {name: int(value) for name, value in table.__members__.items()}
    assert {name: int(said[name], 0) for name in numbers} == numbers
