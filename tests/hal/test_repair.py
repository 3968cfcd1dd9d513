"""What a pull has torn is put right by the programs of the file systems; images are the media."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hal.removable import repair
from hal.removable.base import Medium, NotMountable
from tests.hal.torn_fat import STATE_OF_FAT32, tear
from tests.peers.programs import program, run

CONTENT = bytes(range(256)) * 40


def medium(image: Path, file_system: str = "vfat") -> Medium:
    return Medium("block-devices", "1", str(image), "usb", label="STICK", file_system=file_system)


def fat(folder: Path, kind: int, megabytes: int) -> Path:
    image, file = folder / "stick.img", folder / "FILE"
    file.write_bytes(CONTENT)
    with image.open("wb") as made:
        made.truncate(megabytes << 20)
    run([program("dosfstools", "mkfs.vfat"), "-F", str(kind), image]).check()
    run([program("mtools", "mtools"), "-c", "mcopy", "-i", image, file, "::/FILE"]).check()
    run([program("mtools", "mtools"), "-c", "mcopy", "-i", image, file, "::/TORN"]).check()
    return image


def faults(image: Path) -> str:
    done = run([program("dosfstools", "fsck.vfat"), "-n", image])
    return "" if done.returncode == 0 else done.output


def test_a_torn_fat_is_put_right_and_the_rest_stays(tmp_path: Path) -> None:
    image = fat(tmp_path, 32, 64)
    tear(image, "TORN")
    assert "free cluster" in faults(image)
    repair.put_right(medium(image))
    assert faults(image) == ""
    out = tmp_path / "out"
    run([program("mtools", "mtools"), "-c", "mcopy", "-i", image, "::/FILE", out]).check()
    assert out.read_bytes() == CONTENT


@pytest.mark.parametrize(("kind", "megabytes", "state"), [(12, 8, 37), (16, 32, 37), (32, 64, 65)])
def test_only_what_was_not_unmounted_properly_is_checked(
    tmp_path: Path, kind: int, megabytes: int, state: int
) -> None:
    image = fat(tmp_path, kind, megabytes)
    before = image.read_bytes()
    repair.put_right(medium(image))
    assert image.read_bytes() == before
    marked = bytearray(before)
    marked[state] |= 1
    image.write_bytes(marked)
    repair.put_right(medium(image))
    assert not image.read_bytes()[state] & 1
    assert faults(image) == ""


def test_an_exfat_is_put_right_too(tmp_path: Path) -> None:
    image = tmp_path / "stick.img"
    with image.open("wb") as made:
        made.truncate(16 << 20)
    run([program("exfatprogs", "mkfs.exfat"), image]).check()
    data = bytearray(image.read_bytes())
    data[106] |= 2
    image.write_bytes(data)
    repair.put_right(medium(image, "exfat"))
    assert not image.read_bytes()[106] & 2


def test_what_cannot_be_put_right_is_not_mounted(tmp_path: Path) -> None:
    image = fat(tmp_path, 32, 64)
    data = bytearray(image.read_bytes())
    data[STATE_OF_FAT32] |= 1
    data[11:13] = b"\x07\x00"  # Bytes per sector.
    image.write_bytes(data)
    with pytest.raises(NotMountable, match="cannot be put right"):
        repair.put_right(medium(image))


def test_without_the_program_and_for_others_nothing_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = fat(tmp_path, 32, 64)
    tear(image, "TORN")
    before = image.read_bytes()
    repair.put_right(medium(image, "ext4"))
    repair.put_right(medium(tmp_path / "gone"))
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    repair.put_right(medium(image))
    assert image.read_bytes() == before
