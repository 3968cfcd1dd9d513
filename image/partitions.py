"""The card: its partition table (GPT), and the partitions written into one sparse file.

boot    FAT     firmware's programs, GRUB and its counters, gantry.conf for the engineer
root-a  slot A  a squashfs with the kernel inside, so that both are updated together
root-b  slot B  the same; empty at first
data    ext4    /var and the changes of /etc; grows to the end of the card at the first start
"""

from __future__ import annotations

import os
import shutil
import struct
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from image.boards import Board
from image.foreign_debian import ForeignDebianError, do

HOST_PROGRAMS = {
    "sfdisk": "fdisk",
    "mkfs.vfat": "dosfstools",
    "mcopy": "mtools",
    "mke2fs": "e2fsprogs",
}

_MIB = 2**20
_SECTOR = 512
# Flash is erased in blocks of some MiB: each partition begins at a multiple of four.
_ALIGNMENT = 4 * _MIB
_SPACE = uuid.UUID("6f4a3c1e-93d0-5c58-9d0c-2f6b1e6f7a10")
_EFI_SYSTEM = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
_LINUX = "0fc63daf-8483-4772-8e79-3d69d8477de4"
_RECORDS = 446
"""Where the four records of the MBR begin."""


class Partition(NamedTuple):
    """One row of the table; `start` and `size` in bytes."""

    name: str
    kind: str
    start: int
    size: int


def layout(board: Board) -> tuple[Partition, ...]:
    """The partitions of a board's card, one after the other."""
    rows = (
        ("boot", _EFI_SYSTEM, 128 * _MIB),
        ("root-a", board.root_type, 512 * _MIB),
        ("root-b", board.root_type, 512 * _MIB),
        ("data", _LINUX, 256 * _MIB),
    )
    found = []
    start = _ALIGNMENT
    for name, kind, size in rows:
        found.append(Partition(name, kind, start, size))
        start += size
    return tuple(found)


def card_size(board: Board) -> int:
    """Bytes of the file: the partitions, and the second copy of the table behind them."""
    last = layout(board)[-1]
    return last.start + last.size + _ALIGNMENT


def fixed_uuid(board: Board, name: str) -> str:
    """The same for each build, since nothing finds a partition by it (the names do that)."""
    return str(uuid.uuid5(_SPACE, f"{board.debian}/{name}"))


def script(board: Board) -> str:
    """The table as sfdisk reads it."""
    lines = [
        "label: gpt",
        f"label-id: {fixed_uuid(board, 'disk')}",
        f"first-lba: {_ALIGNMENT // _SECTOR}",
        "unit: sectors",
        "",
    ]
    lines.extend(
        f"start={each.start // _SECTOR}, size={each.size // _SECTOR}, type={each.kind},"
        f" uuid={fixed_uuid(board, each.name)}, name={each.name}"
        for each in layout(board)
    )
    return "\n".join(lines) + "\n"


def records_of_mbr(board: Board) -> bytes:
    """The four records of a hybrid MBR: the boot partition as FAT32, and the mark of a GPT.

    The boot ROM of a Raspberry Pi 3 knows no GPT and looks for such a record. All others find the
    mark, of type EEh from sector 1 on (UEFI 2.10, 5.2.3), and read the GPT.
    """
    boot = layout(board)[0]
    first = boot.start // _SECTOR
    # Cylinders and heads: FE FF FF says that only the numbers of sectors count.
    fat = struct.pack(
        "<4s4sII", b"\0\xfe\xff\xff", b"\x0c\xfe\xff\xff", first, boot.size // _SECTOR
    )
    gpt = struct.pack("<4s4sII", b"\0\0\x02\0", b"\xee\xfe\xff\xff", 1, first - 1)
    return fat + gpt + bytes(2 * len(fat))


def write_card(board: Board, boot: Path, root: Path, work: Path, target: Path, moment: int) -> None:
    """The whole card as the file `target`: `boot` is a folder, `root` a squashfs.

    Raises ForeignDebianError.
    """
    if root.stat().st_size > layout(board)[1].size:
        raise ForeignDebianError(f"{root} is larger than its slot")
    files = {
        "boot": _fat(board, boot, work, moment),
        "root-a": root,
        "data": _data(board, work, moment),
    }
    table = work / "table"
    table.write_text(script(board))
    target.unlink(missing_ok=True)
    with target.open("wb") as card:
        card.truncate(card_size(board))
    do(["sh", "-c", 'sfdisk --quiet --no-reread --no-tell-kernel "$0" <"$1"', target, table])
    with target.open("r+b") as card:
        if board.pi:
            os.pwrite(card.fileno(), records_of_mbr(board), _RECORDS)
        for each in layout(board):
            if each.name in files:
                _copy(files[each.name], card.fileno(), each.start)


def _copy(source: Path, card: int, start: int) -> None:
    """Holes stay holes: what is zero is not written."""
    with source.open("rb") as file:
        while piece := file.read(_MIB):
            if piece.count(0) != len(piece):
                os.pwrite(card, piece, start)
            start += len(piece)


def _fat(board: Board, folder: Path, work: Path, moment: int) -> Path:
    target = work / "boot.fat"
    with target.open("wb") as file:
        file.truncate(layout(board)[0].size)
    serial = fixed_uuid(board, "boot")[:8]
    do(["mkfs.vfat", "-F", "32", "-n", "GANTRY", "-i", serial, "--invariant", target])
    clock = {"SOURCE_DATE_EPOCH": str(moment), "TZ": "UTC"}
    for path in _sorted(folder):
        os.utime(path, (moment, moment))
        inside = f"::{path.relative_to(folder)}"
        if path.is_dir():
            do(["mmd", "-i", target, inside], environment=clock)
        else:
            do(["mcopy", "-m", "-i", target, path, inside], environment=clock)
    return target


def _sorted(folder: Path) -> Iterator[Path]:
    """Folders before what is in them, in the same order each time."""
    yield from sorted(folder.rglob("*"))


def _data(board: Board, work: Path, moment: int) -> Path:
    """An empty file system; the first start fills it."""
    empty = work / "data"
    shutil.rmtree(empty, ignore_errors=True)
    empty.mkdir()
    empty.chmod(0o755)
    os.utime(empty, (moment, moment))
    target = work / "data.ext4"
    target.unlink(missing_ok=True)
    name = fixed_uuid(board, "data")
    # resize: room for the tables of a card up to 1 TiB; the journal is what a grown one would have.
    do(
        [
            *("mke2fs", "-q", "-t", "ext4", "-L", "data", "-U", name, "-d", empty, "-m", "1"),
            *("-b", "4096", "-J", "size=32", "-E", f"hash_seed={name},resize={2**28 - 1}"),
            *(target, f"{layout(board)[3].size // 1024}k"),
        ],
        environment={"E2FSPROGS_FAKE_TIME": str(moment), "SOURCE_DATE_EPOCH": str(moment)},
    )
    return target
