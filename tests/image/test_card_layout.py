"""The card's partitions, its first file system, and which packages go into it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from image.boards import BOARDS, Board
from image.card import fitting
from image.foreign_debian import ForeignDebianError
from image.kernel import closure
from image.partitions import card_size, fixed_uuid, layout, records_of_mbr, script
from tests.peers.programs import program

_FLASH_BLOCK = 4 * 2**20


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_partitions_follow_one_another_on_borders_of_flash_blocks(board: Board) -> None:
    end = _FLASH_BLOCK
    for each in layout(board):
        assert (each.start, each.size % _FLASH_BLOCK) == (end, 0)
        end += each.size
    assert card_size(board) == end + _FLASH_BLOCK
    assert [each.name for each in layout(board)] == ["boot", "root-a", "root-b", "data"]


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_sfdisk_writes_the_table_and_reads_the_same_back(board: Board, tmp_path: Path) -> None:
    sfdisk = program("fdisk", "sfdisk")
    card = tmp_path / "card"
    with card.open("wb") as file:
        file.truncate(card_size(board))
    subprocess.run([sfdisk, "--quiet", card], input=script(board), text=True, check=True)
    said = subprocess.run([sfdisk, "--json", card], capture_output=True, text=True, check=True)
    table = json.loads(said.stdout)["partitiontable"]
    assert table["label"] == "gpt"
    assert [
        (each["name"], each["start"] * 512, each["size"] * 512, each["uuid"].lower())
        for each in table["partitions"]
    ] == [
        (each.name, each.start, each.size, fixed_uuid(board, each.name)) for each in layout(board)
    ]


def test_a_boot_rom_that_knows_no_gpt_finds_the_boot_partition(tmp_path: Path) -> None:
    sfdisk = program("fdisk", "sfdisk")
    board = BOARDS["arm64"]
    card = tmp_path / "card"
    with card.open("wb") as file:
        file.truncate(card_size(board))
    subprocess.run([sfdisk, "--quiet", card], input=script(board), text=True, check=True)
    with card.open("r+b") as file:
        file.seek(446)
        file.write(records_of_mbr(board))
    as_mbr = [sfdisk, "--json", "--label-nested", "dos", card]
    said = subprocess.run(as_mbr, capture_output=True, text=True, check=True)
    boot = layout(board)[0]
    assert [
        (each["type"], each["start"] * 512, each["size"] * 512)
        for each in json.loads(said.stdout)["partitiontable"]["partitions"]
    ] == [("c", boot.start, boot.size), ("ee", 512, boot.start - 512)]
    # All others still take it for a disk with a GPT.
    said = subprocess.run([sfdisk, "--json", card], capture_output=True, text=True, check=True)
    assert json.loads(said.stdout)["partitiontable"]["label"] == "gpt"


def test_only_the_data_partition_has_the_type_that_grows() -> None:
    for board in BOARDS.values():
        kinds = [each.kind for each in layout(board)]
        assert kinds.count(kinds[-1]) == 1


_DEPENDENCIES = """\
kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko kernel/lib/crc16.ko
kernel/fs/jbd2/jbd2.ko:
kernel/lib/crc16.ko:
kernel/drivers/usb/storage/usb-storage.ko: kernel/drivers/scsi/scsi_mod.ko
kernel/drivers/scsi/scsi_mod.ko:
"""


def test_modules_come_after_what_they_need() -> None:
    assert closure(_DEPENDENCIES, ("usb_storage", "ext4", "built_in")) == [
        "kernel/drivers/scsi/scsi_mod.ko",
        "kernel/drivers/usb/storage/usb-storage.ko",
        "kernel/lib/crc16.ko",
        "kernel/fs/jbd2/jbd2.ko",
        "kernel/fs/ext4/ext4.ko",
    ]


def test_a_kernel_without_any_of_them_is_refused() -> None:
    with pytest.raises(ForeignDebianError, match="none of the modules"):
        closure(_DEPENDENCIES, ("nvme",))


def test_packages_of_other_architectures_are_left_out(tmp_path: Path) -> None:
    for name in ("gantry_1_arm64.deb", "gantry_1_amd64.deb", "gantry-doc_1_all.deb", "notes.txt"):
        (tmp_path / name).touch()
    names = [each.name for each in fitting(tmp_path, BOARDS["arm64"])]
    assert names == ["gantry-doc_1_all.deb", "gantry_1_arm64.deb"]
    (tmp_path / "gantry-doc_1_all.deb").unlink()
    (tmp_path / "gantry_1_arm64.deb").unlink()
    with pytest.raises(ForeignDebianError, match="no package for arm64"):
        fitting(tmp_path, BOARDS["arm64"])
