"""A FAT32 as a pull may leave it: all of a file is there but its clusters in the table."""

from __future__ import annotations

import re
import struct
from pathlib import Path

from tests.peers.programs import program, run

STATE_OF_FAT32 = 65


def tear(image: Path, file: str) -> None:
    """Call the clusters of a file free, and the medium not properly unmounted."""
    shown = run([program("mtools", "mtools"), "-c", "mshowfat", "-i", image, f"::/{file}"])
    first, last = map(int, re.findall(r"<(\d+)-(\d+)>", shown.check().output)[0])
    data = bytearray(image.read_bytes())
    (reserved,), (length,) = struct.unpack_from("<H", data, 14), struct.unpack_from("<I", data, 36)
    for table in range(data[16]):
        start = (reserved + table * length) * 512
        data[start + first * 4 : start + (last + 1) * 4] = bytes(4 * (last - first + 1))
    data[STATE_OF_FAT32] |= 1
    image.write_bytes(data)
