"""JPEG lossless (ITU-T T.81 H) against itself, other codecs, real files, and damaged streams."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.codecs import jpeg_lossless, jpeg_segments
from agent.codecs.codec import EncodeSettings
from agent.codecs.damage import FrameDamaged
from agent.codecs.frame import FrameDescription
from agent.codecs.jpeg_huffman import HuffmanTable
from agent.codecs.jpeg_markers import SOF3, Component, ScanComponent
from agent.dataset.transfer_syntaxes import JPEG_LOSSLESS, JPEG_LOSSLESS_FIRST_ORDER
from tests.codecs.frames import (
    KINDS,
    SIZES,
    damaged,
    decoded,
    description,
    encoded,
    picture,
    salvaged,
)

SV1 = EncodeSettings()


def predictor(selection: int) -> EncodeSettings:
    return EncodeSettings(predictor=selection)


@pytest.mark.parametrize("samples", (1, 3))
@pytest.mark.parametrize("kind", KINDS)
def test_what_goes_in_comes_out(samples: int, kind: str) -> None:
    for number, (rows, columns) in enumerate(SIZES):
        for bits in range(2, 17):
            frame = description(rows, columns, samples=samples, bits_stored=bits)
            native = picture(frame, kind).tobytes()
            settings = predictor(1 + (bits + number) % 7)
            stream = encoded(JPEG_LOSSLESS, frame, native, settings)
            assert decoded(JPEG_LOSSLESS, frame, stream) == native
    stream = encoded(JPEG_LOSSLESS, frame, native, settings, strip_rows=3)
    assert decoded(JPEG_LOSSLESS, frame, stream, read_at_most=7) == native


@pytest.mark.parametrize("selection", range(1, 8))
def test_every_predictor_signed_and_unsigned(selection: int) -> None:
    for signed in (False, True):
        for bits in (8, 12, 16):
            frame = description(40, 55, bits_stored=bits, signed=signed)
            for kind in KINDS:
                native = picture(frame, kind).tobytes()
                stream = encoded(JPEG_LOSSLESS, frame, native, predictor(selection))
                assert decoded(JPEG_LOSSLESS, frame, stream) == native


def test_rows_that_come_once_are_compressed_as_well() -> None:
    frame = description(300, 500, bits_stored=12)
    for kind in KINDS:
        native = picture(frame, kind).tobytes()
        once = encoded(JPEG_LOSSLESS_FIRST_ORDER, frame, native, strip_rows=7)
        twice = encoded(JPEG_LOSSLESS_FIRST_ORDER, frame, native)
        assert decoded(JPEG_LOSSLESS_FIRST_ORDER, frame, once) == native
        assert len(once) < len(twice) * 1.02 + 64


def test_bits_above_the_stored_ones_survive() -> None:
    frame = description(20, 30, bits_stored=12)
    native = (picture(frame, "noise") | np.uint16(0x9000)).tobytes()
    assert decoded(JPEG_LOSSLESS, frame, encoded(JPEG_LOSSLESS, frame, native)) == native


# ---- other codecs ----


def as_image(frame: FrameDescription, native: NDArray[np.generic]) -> NDArray[np.generic]:
    return native[:, :, 0] if frame.samples_per_pixel == 1 else native


@pytest.mark.peer
@pytest.mark.parametrize("samples", (1, 3))
def test_libjpeg_turbo_reads_ours_and_we_read_its(samples: int) -> None:
    imagecodecs = pytest.importorskip("imagecodecs")
    for bits in range(2, 17):
        for selection in range(1, 8):
            frame = description(33, 41, samples=samples, bits_stored=bits)
            native = picture(frame, KINDS[(bits + selection) % len(KINDS)])
            image = as_image(frame, native)
            stream = encoded(JPEG_LOSSLESS, frame, native.tobytes(), predictor(selection))
            theirs = imagecodecs.jpeg_decode(stream)
            assert np.array_equal(theirs, image), (bits, selection)
            stream = imagecodecs.jpeg_encode(
                image, lossless=True, bitspersample=bits, predictor=selection
            )
            assert decoded(JPEG_LOSSLESS, frame, stream) == native.tobytes(), (bits, selection)


@pytest.mark.peer
@pytest.mark.parametrize("samples", (1, 3))
def test_libjpeg_of_thor_reads_ours(samples: int) -> None:
    libjpeg = pytest.importorskip("libjpeg")
    for bits in range(2, 17):
        for signed in (False, True):
            frame = description(33, 41, samples=samples, bits_stored=bits, signed=signed)
            native = picture(frame, "gradient")
            stream = encoded(JPEG_LOSSLESS, frame, native.tobytes(), predictor(1 + bits % 7))
            theirs = libjpeg.decode(io.BytesIO(stream))
            assert np.array_equal(theirs.astype(native.dtype), as_image(frame, native)), bits


# ---- what real streams and the standard have, and our encoder does not write ----


class _Bits:
    """A plain writer of entropy-coded bits, for streams that no encoder here writes."""

    def __init__(self) -> None:
        self.text = ""

    def difference(self, value: int, table: dict[int, str]) -> None:
        value &= 0xFFFF
        signed = value - 65536 if value > 32768 else value
        category = abs(signed).bit_length()
        self.text += table[category]
        if category and category < 16:
            extra = signed if signed > 0 else signed + (1 << category) - 1
            self.text += format(extra, f"0{category}b")

    def bytes(self) -> bytes:
        text = self.text + "1" * (-len(self.text) % 8)
        plain = bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))
        return plain.replace(b"\xff", b"\xff\x00")


# Seventeen codes of five bits.
TABLE = HuffmanTable(bytes((0, 0, 0, 0, 17, *[0] * 11)), bytes(range(17)))
CODES = {category: format(category, "05b") for category in range(17)}


def coded_rows(
    image: NDArray[np.generic], precision: int, point_transform: int, restart_rows: int
) -> bytes:
    """One component, predictor 4, with restart markers."""
    plane = image.astype(np.int64) >> point_transform
    intervals = []
    for start in range(0, len(plane), restart_rows):
        bits = _Bits()
        part = plane[start : start + restart_rows]
        for y in range(len(part)):
            for x in range(part.shape[1]):
                if y == 0:
                    half = 1 << (precision - point_transform - 1)
                    guess = half if x == 0 else part[0, x - 1]
                elif x == 0:
                    guess = part[y - 1, 0]
                else:
                    guess = part[y, x - 1] + part[y - 1, x] - part[y - 1, x - 1]
                bits.difference(int(part[y, x] - guess), CODES)
        intervals.append(bits.bytes())
    joined = b""
    for number, interval in enumerate(intervals):
        # Fill bytes may stand before any marker (B.1.1.2).
        joined += (b"\xff\xff" + jpeg_segments.restart(number - 1) if number else b"") + interval
    return joined


def by_hand(
    image: NDArray[np.generic], precision: int, *, point_transform: int = 0, restart_rows: int = 0
) -> bytes:
    """A stream of one scan for each component."""
    rows, columns, samples = image.shape
    components = [Component(10 + each, 1, 1, 0) for each in range(samples)]
    stream = jpeg_segments.START_OF_IMAGE
    stream += jpeg_segments.frame_header(SOF3, precision, rows, columns, components)
    if restart_rows:
        stream += jpeg_segments.restart_interval(restart_rows * columns)
    for each in range(samples):
        stream += jpeg_segments.huffman_tables({(0, each % 4): TABLE})
        stream += jpeg_segments.scan_header(
            components,
            [ScanComponent(each, each % 4, 0)],
            spectral_start=4,
            spectral_end=0,
            approximation_low=point_transform,
        )
        stream += coded_rows(image[:, :, each], precision, point_transform, restart_rows or rows)
    return stream + jpeg_segments.END_OF_IMAGE


@pytest.mark.parametrize("samples", (1, 3))
@pytest.mark.parametrize("restart_rows", (0, 1, 3))
def test_scans_of_single_components_with_restart_intervals(samples: int, restart_rows: int) -> None:
    for bits in (8, 12, 16):
        frame = description(29, 17, samples=samples, bits_stored=bits)
        for kind in KINDS:
            native = picture(frame, kind)
            stream = by_hand(native, bits, restart_rows=restart_rows)
            assert decoded(JPEG_LOSSLESS, frame, stream) == native.tobytes()
            assert decoded(JPEG_LOSSLESS, frame, stream, read_at_most=5) == native.tobytes()


def test_a_point_transform_is_undone() -> None:
    frame = description(9, 11, bits_stored=12)
    native = picture(frame, "noise")
    stream = by_hand(native, 12, point_transform=3)
    assert decoded(JPEG_LOSSLESS, frame, stream) == (native & ~np.uint16(7)).tobytes()


def test_signed_samples_of_fewer_bits_get_their_sign() -> None:
    frame = description(9, 11, bits_stored=12, signed=True)
    native = picture(frame, "noise")
    stream = by_hand(native.view("<u2") & np.uint16(0xFFF), 12)
    assert decoded(JPEG_LOSSLESS, frame, stream) == native.tobytes()


# ---- damage ----


def test_the_rows_before_damage_come_out() -> None:
    frame = description(60, 50, bits_stored=12)
    native = picture(frame, "gradient").tobytes()
    stream = encoded(JPEG_LOSSLESS, frame, native)
    rows, error = salvaged(JPEG_LOSSLESS, frame, stream[: len(stream) // 2])
    assert error is not None and "ends in row" in str(error)
    assert 0 < len(rows) < len(native) and native.startswith(rows)
    assert len(stream) // 2 - 16 <= error.position <= len(stream) // 2


def test_a_restart_marker_out_of_turn_is_damage() -> None:
    frame = description(12, 17)
    stream = by_hand(picture(frame, "noise"), 8, restart_rows=2)
    rows, error = salvaged(JPEG_LOSSLESS, frame, stream.replace(b"\xff\xd1", b"\xff\xd4"))
    assert error is not None and "is damaged in row 5 of 12" in str(error)
    assert len(rows) == 4 * 17


@pytest.mark.parametrize(
    "frame, precision, words",
    [
        (description(8, 9), 8, "8 rows, 8 columns"),
        (description(8, 8, samples=3), 8, "1 components"),
        (description(8, 8), 12, "samples of 12 bits"),
    ],
)
def test_a_stream_that_is_not_of_this_object_is_refused(
    frame: FrameDescription, precision: int, words: str
) -> None:
    other = description(8, 8, bits_stored=precision)
    stream = encoded(JPEG_LOSSLESS, other, picture(other, "noise").tobytes())
    with pytest.raises(FrameDamaged, match=words):
        decoded(JPEG_LOSSLESS, frame, stream)


def test_headers_that_cannot_be_are_refused() -> None:
    frame = description(8, 8)
    stream = by_hand(picture(frame, "noise"), 8)
    scan = stream.index(b"\xff\xda")
    for at, value, words in (
        (scan + 7, 0, "predictor 0"),
        (scan + 7, 8, "predictor 8"),
        (scan + 9, 8, "point transform 8"),
        (scan + 6, 0x10, "Huffman table 1"),
        (3, 0xC1, "not lossless"),
    ):
        broken = bytearray(stream)
        broken[at] = value
        with pytest.raises(FrameDamaged, match=words):
            decoded(JPEG_LOSSLESS, frame, bytes(broken))
    interval = stream[:scan] + struct.pack(">HHH", 0xFFDD, 4, 12) + stream[scan:]
    with pytest.raises(FrameDamaged, match="whole rows"):
        decoded(JPEG_LOSSLESS, frame, interval)
    colour = description(8, 8, samples=3)
    three = by_hand(picture(colour, "noise"), 8)
    cut = three[: three.rindex(b"\xff\xda")] + b"\xff\xd9"
    with pytest.raises(FrameDamaged, match="2 of 3 components"):
        decoded(JPEG_LOSSLESS, colour, cut)


@pytest.mark.parametrize("samples", (1, 3))
def test_no_damaged_stream_does_more_than_complain(samples: int) -> None:
    frame = description(31, 45, samples=samples, bits_stored=12)
    native = picture(frame, "gradient")
    complaints = 0
    for stream in (
        encoded(JPEG_LOSSLESS, frame, native.tobytes()),
        by_hand(native, 12, restart_rows=4),
    ):
        for broken in damaged(stream, 5, 300):
            try:
                rows, error = salvaged(JPEG_LOSSLESS, frame, broken)
            except FrameDamaged:
                complaints += 1
            else:
                assert len(rows) <= native.nbytes and len(rows) % frame.row_length == 0
                complaints += error is not None
    assert complaints > 150


def test_what_jpeg_lossless_cannot_hold_is_refused() -> None:
    refusal = jpeg_lossless.refusal
    shared = FrameDescription(8, 8, 3, 8, 8, 0, "YBR_FULL_422")
    assert "YBR_FULL_422" in refusal(JPEG_LOSSLESS, shared, SV1)
    assert "8 or 16" in refusal(JPEG_LOSSLESS, description(8, 8, bits_stored=32), SV1)
    assert "65535" in refusal(JPEG_LOSSLESS, description(65536, 8), SV1)
    assert "predictors" in refusal(JPEG_LOSSLESS, description(8, 8), predictor(8))
    assert not refusal(JPEG_LOSSLESS_FIRST_ORDER, description(8, 8), predictor(8))
