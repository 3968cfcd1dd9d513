"""The records of a ZIP file (PS3.12 V, APPNOTE.TXT 4.3) that writer and reader share."""

from __future__ import annotations

import struct

STORED, DEFLATED = 0, 8
"""Compression methods (APPNOTE 4.4.5)."""

ENCRYPTED, STRONGLY_ENCRYPTED, UTF_8, MASKED = 0x0001, 0x0040, 0x0800, 0x2000
"""General purpose flags (APPNOTE 4.4.4)."""

LARGEST_32, LARGEST_16 = 0xFFFFFFFF, 0xFFFF
"""Fields with these values say that ZIP64 has the true ones."""

ZIP64_EXTRA = 0x0001

LOCAL = struct.Struct("<4sHHHHHIIIHH")
"""Local file header: signature, version, flags, method, time, date, CRC-32, sizes, lengths."""
LOCAL_SIGNATURE = b"PK\3\4"

CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
"""Central directory header: signature, versions, flags, method, time, date, CRC-32, sizes, lengths
of name, extra field and comment, disk, attributes, offset."""
CENTRAL_SIGNATURE = b"PK\1\2"

END = struct.Struct("<4sHHHHIIH")
"""End of central directory: signature, disks, entries, size, offset, length of the comment."""
END_SIGNATURE = b"PK\5\6"

END_64 = struct.Struct("<4sQHHIIQQQQ")
"""ZIP64 end of central directory: signature, its size, versions, disks, entries, size, offset."""
END_64_SIGNATURE = b"PK\6\6"

LOCATOR_64 = struct.Struct("<4sIQI")
"""Where that is: signature, disk, offset, number of disks."""
LOCATOR_64_SIGNATURE = b"PK\6\7"
