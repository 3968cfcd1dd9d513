"""The marker segments of a JPEG-LS stream (ITU-T T.87 annex C), read and written.

They are those of T.81 but for the frame header's marker SOF55, the preset parameters LSE, and the
meaning of the scan header's last bytes. `read_header` gives what stands before the first scan,
`next_scan` goes on to the one after it. SPIFF headers and other application data are passed over.

Memory: a window of 64 KiB. All functions that read raise FrameDamaged with the position and the
clause.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from agent.codecs.damage import FrameDamaged
from agent.codecs.jpeg_markers import (
    APP0,
    DNL,
    DRI,
    EOI,
    RST0,
    RST7,
    SOI,
    SOS,
    Component,
    Cursor,
    JpegHeader,
    end_of_scan,
    frame_header,
    next_marker,
)
from agent.codecs.jpeg_segments import segment
from agent.dataset.byte_source import ByteSource

SOF55, LSE = 0xF7, 0xF8
_APP8 = APP0 + 8
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_END_OF_SCAN = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]", re.DOTALL)
_PRESETS = "ITU-T T.87 C.2.4.1.1"


class Presets(NamedTuple):
    """MAXVAL, T1, T2, T3 and RESET (C.2.4.1.1); 0 stands for the default."""

    largest: int = 0
    threshold_1: int = 0
    threshold_2: int = 0
    threshold_3: int = 0
    reset: int = 0

    def complete(self, precision: int, near: int) -> Presets:
        """The same with all defaults filled in, for samples of `precision` bits."""
        largest = self.largest or (1 << precision) - 1
        default = _default_thresholds(largest, near)
        return Presets(
            largest,
            self.threshold_1 or default[0],
            self.threshold_2 or default[1],
            self.threshold_3 or default[2],
            self.reset or 64,
        )

    def fit(self, precision: int, near: int) -> bool:
        """Whether the ranges of Table C.1 hold, without defaults."""
        thresholds = self[1:4]
        return (
            1 <= self.largest < 1 << precision
            and near + 1 <= thresholds[0] <= thresholds[1] <= thresholds[2] <= self.largest
            and 3 <= self.reset <= max(255, self.largest)
        )


def _default_thresholds(largest: int, near: int) -> tuple[int, int, int]:
    """C.2.4.1.1.1."""
    basic = ((3, 2, 3 * near), (7, 3, 5 * near), (21, 4, 7 * near))
    if largest >= 128:
        factor = (min(largest, 4095) + 128) // 256
        wanted = [factor * (value - least) + least + errors for value, least, errors in basic]
    else:
        factor = 256 // (largest + 1)
        wanted = [max(least, value // factor + errors) for value, least, errors in basic]
    found = [near + 1]
    for threshold in wanted:
        found.append(threshold if found[-1] <= threshold <= largest else found[-1])
    return found[1], found[2], found[3]


@dataclass(frozen=True, slots=True)
class Scan:
    """The scan header (C.2.3): places of its components in the frame header, NEAR and ILV.
    `position` is the first byte after it."""

    places: tuple[int, ...]
    near: int
    interleave: int
    position: int


@dataclass(frozen=True, slots=True)
class LsHeader:
    """What stands before a scan. `restart_interval` counts rows: a row, of each component of the
    scan where they are interleaved, is the MCU."""

    frame: JpegHeader = field(default_factory=JpegHeader)
    presets: Presets = field(default_factory=Presets)
    restart_interval: int = 0


def read_header(source: ByteSource) -> tuple[LsHeader, Scan]:
    """From SOI to the first scan header."""
    cursor = Cursor(source, 0)
    if cursor.take(2, "its first marker", "ITU-T T.87 C.1.1") != bytes((0xFF, SOI)):
        raise FrameDamaged("This is no JPEG stream.", 0, clause="ITU-T T.87 C.1.1")
    header, scan = _to_scan(cursor, LsHeader())
    if scan is None:
        raise FrameDamaged("The JPEG stream has no scan.", cursor.position, clause="ITU-T T.87 C.1")
    return header, scan


def next_scan(source: ByteSource, header: LsHeader, position: int) -> tuple[LsHeader, Scan] | None:
    """The scan after the one whose coded bytes include `position`; None at EOI."""
    found, scan = _to_scan(Cursor(source, end_of_scan(source, position, _END_OF_SCAN)), header)
    return None if scan is None else (found, scan)


def _to_scan(cursor: Cursor, header: LsHeader) -> tuple[LsHeader, Scan | None]:
    while True:
        marker = next_marker(cursor)
        start = cursor.position
        if marker == EOI:
            return header, None
        if RST0 <= marker <= RST7:
            continue
        length = int.from_bytes(cursor.take(2, "the length of a segment", "ITU-T T.87 C.2"))
        if length < 2:
            raise FrameDamaged(
                f"A marker segment has the length {length}.", start, clause="ITU-T T.87 C.2"
            )
        if marker in _FRAME_HEADERS:
            raise FrameDamaged(
                f"The JPEG stream is of the process SOF{marker - 0xC0}, which is not JPEG-LS.",
                start - 2,
                clause="ITU-T T.87 C.2.2",
            )
        if marker not in (SOF55, SOS, LSE, DRI, _APP8):
            # A DNL segment after a scan says again what the frame header must say.
            if marker == DNL and not header.frame.process:
                raise FrameDamaged("DNL comes first.", start - 2, clause="ITU-T T.87 C.2.1")
            cursor.skip(length - 2)
            continue
        body = cursor.take(length - 2, "a marker segment", "ITU-T T.87 C.2")
        if marker == SOS:
            return header, _scan(header, body, start - 2, cursor.position)
        header = _with_segment(header, marker, body, start - 2)


def _with_segment(header: LsHeader, marker: int, body: bytes, position: int) -> LsHeader:
    if marker == SOF55:
        if header.frame.process:
            raise FrameDamaged(
                "There is a second frame header.", position, clause="ITU-T T.87 C.1.1"
            )
        return replace(header, frame=frame_header(header.frame, body, marker, position))
    if marker == DRI:
        if not 2 <= len(body) <= 4:
            raise FrameDamaged(
                "The restart interval has a wrong length.", position, clause="ITU-T T.87 C.2.5"
            )
        return replace(header, restart_interval=int.from_bytes(body))
    if marker == LSE:
        return _preset_segment(header, body, position)
    # Not of the standard: HP's encoder, which CharLS follows, may transform colours.
    if body[:4] == b"mrfx" and any(body[4:5]):
        raise FrameDamaged(
            "The stream has colours transformed as HP does, which DICOM does not allow.",
            position,
            clause="PS3.5 8.2.3",
        )
    return header


def _preset_segment(header: LsHeader, body: bytes, position: int) -> LsHeader:
    identifier = body[0] if body else 0
    if identifier == 1 and len(body) == 11:
        return replace(header, presets=Presets(*struct.unpack(">5H", body[1:])))
    if identifier in (2, 3):
        return header  # mapping tables matter to a scan that uses one, and that is refused
    if identifier == 4:
        raise FrameDamaged(
            "The stream has extended dimensions, beyond what DICOM can say.",
            position,
            clause="ITU-T T.87 C.2.4.1.4",
        )
    raise FrameDamaged(
        f"A segment of preset parameters has the type {identifier} and {len(body)} bytes.",
        position,
        clause="ITU-T T.87 C.2.4.1",
    )


def _scan(header: LsHeader, body: bytes, start: int, position: int) -> Scan:
    clause = "ITU-T T.87 C.2.3"
    if not header.frame.process:
        raise FrameDamaged("A scan comes before the frame header.", start, clause=clause)
    count = body[0] if body else 0
    if not 1 <= count <= 4 or len(body) != 4 + 2 * count:
        raise FrameDamaged("The scan header has a wrong length.", start, clause=clause)
    places = {each.identifier: place for place, each in enumerate(header.frame.components)}
    components: list[int] = []
    for identifier, table in zip(body[1:-3:2], body[2:-3:2], strict=True):
        place = places.get(identifier, -1)
        if place < 0 or (components and place <= components[-1]):
            raise FrameDamaged(
                f"The scan has the component {identifier}, which is not its turn.",
                start,
                clause=clause,
            )
        if table:
            raise FrameDamaged(
                "The stream has samples that are numbers of a mapping table, which DICOM does not "
                "allow.",
                start,
                clause="ITU-T T.87 C.2.4.1.2",
            )
        components.append(place)
    near, interleave, transform = body[-3:]
    if interleave > 2 or (interleave == 0) != (count == 1) or transform:
        raise FrameDamaged(
            f"The scan tells of {count} components, interleave mode {interleave} and point "
            f"transform {transform}.",
            start,
            clause=clause,
        )
    presets = header.presets.complete(header.frame.precision, near)
    if near > presets.largest // 2 or not presets.fit(header.frame.precision, near):
        values = ", ".join(str(value) for value in presets)
        raise FrameDamaged(
            f"The scan has NEAR {near} and MAXVAL, T1, T2, T3, RESET {values} for samples of "
            f"{header.frame.precision} bits.",
            start,
            clause=_PRESETS,
        )
    return Scan(tuple(components), near, interleave, position)


def preset_segment(presets: Presets) -> bytes:
    """LSE of type 1 (C.2.4.1.1)."""
    return segment(LSE, struct.pack(">B5H", 1, *presets))


def scan_header(components: tuple[Component, ...], near: int, interleave: int) -> bytes:
    """SOS (C.2.3) with these components of the frame header."""
    body = bytes((len(components),))
    body += b"".join(bytes((each.identifier, 0)) for each in components)
    return segment(SOS, body + bytes((near, interleave, 0)))
