"""JPEG baseline and extended (ITU-T T.81) against itself, odd streams, and damaged ones."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from numpy.typing import NDArray

from agent.codecs import jpeg, jpeg_quantisation, jpeg_segments
from agent.codecs.codec import EncodeSettings
from agent.codecs.damage import FrameDamaged
from agent.codecs.frame import FrameDescription
from agent.codecs.jpeg_markers import SOF0, Component, ScanComponent, read_header
from agent.codecs.rows import PassingRows, StoredRows
from agent.dataset.byte_source import MemoryBytes
from agent.dataset.transfer_syntaxes import JPEG_BASELINE, JPEG_EXTENDED
from agent.errors import LocalError
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

FRAMES = (
    (JPEG_BASELINE, 1, 8),
    (JPEG_BASELINE, 3, 8),
    (JPEG_EXTENDED, 1, 8),
    (JPEG_EXTENDED, 1, 12),
)
TYPICAL = EncodeSettings(optimised=False)
HIGHEST = EncodeSettings(quality=100, colour="RGB")


def samples(frame: FrameDescription, native: bytes) -> NDArray[np.int64]:
    shape = (frame.rows, frame.columns, frame.samples_per_pixel)
    return np.frombuffer(native, f"<u{frame.sample_length}").reshape(shape).astype(np.int64)


def scan_of(stream: bytes) -> bytes:
    """The entropy-coded bytes of a stream of ours, which has one scan."""
    _, scan = read_header(MemoryBytes(stream))
    return stream[scan.position : -2]


@pytest.mark.parametrize("uid, count, bits", FRAMES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_goes_in_comes_out_but_for_rounding(
    uid: str, count: int, bits: int, kind: str
) -> None:
    for rows, columns in SIZES:
        frame = description(rows, columns, samples=count, bits_stored=bits)
        native = picture(frame, kind)
        stream = encoded(uid, frame, native.tobytes(), HIGHEST)
        out = decoded(uid, frame, stream)
        # Each of 64 coefficients is rounded by half a step of 1 at most, most by much less.
        assert np.abs(samples(frame, out) - native).max() <= 2
        assert decoded(uid, frame, stream, read_at_most=7) == out
        once = encoded(uid, frame, native.tobytes(), HIGHEST, strip_rows=3)
        assert decoded(uid, frame, once) == out
        assert len(stream) <= len(once)


@settings(deadline=None, max_examples=60)
@given(
    kind=some.sampled_from(FRAMES),
    rows=some.integers(1, 40),
    columns=some.integers(1, 150),
    quality=some.integers(1, 100),
    seed=some.integers(0, 1 << 32),
)
def test_a_picture_of_any_size_and_quality_is_near_the_original(
    kind: tuple[str, int, int], rows: int, columns: int, quality: int, seed: int
) -> None:
    """The error of a block is at most half a step in each of its coefficients (T.81 A.3.4)."""
    uid, count, bits = kind
    frame = description(rows, columns, samples=count, bits_stored=bits)
    native = picture(frame, "noise", seed)
    how = EncodeSettings(quality=quality, colour="RGB")
    stream = encoded(uid, frame, native.tobytes(), how)
    out = decoded(uid, frame, stream)
    steps = np.array(jpeg_quantisation.scaled(jpeg_quantisation.LUMINANCE, quality))
    # By Parseval's theorem, for all samples of a block together; 1 is for rounding them.
    most = np.sqrt(np.sum((steps / 2) ** 2)) + 8
    error = samples(frame, out) - native
    for y in range(0, rows, 8):
        for x in range(0, columns, 8):
            block = error[y : y + 8, x : x + 8]
            assert np.all(np.sqrt(np.sum(block**2.0, axis=(0, 1))) <= most)
    assert out == decoded(uid, frame, encoded(uid, frame, native.tobytes(), how, strip_rows=5))


@pytest.mark.parametrize("colour", ["YBR_FULL_422", "YBR_FULL", "RGB"])
def test_the_object_is_told_what_its_colours_became(colour: str) -> None:
    frame = description(30, 40, samples=3)
    y, x = np.mgrid[0:30, 0:40]
    native = np.stack([4 * x + 20, 5 * y + 30, 200 - 2 * x - y], axis=2).astype(np.uint8)
    how = EncodeSettings(quality=95, colour=colour)
    rows = StoredRows(frame, MemoryBytes(native.tobytes()))
    plan = jpeg.encode(JPEG_BASELINE, frame, rows, how)
    assert plan.frame == replace(frame, photometric_interpretation=colour)
    stream = b"".join(plan.pieces)
    header, _ = read_header(MemoryBytes(stream))
    assert header.adobe_transform == (0 if colour == "RGB" else None)
    assert header.components[0].horizontal_sampling == (2 if colour == "YBR_FULL_422" else 1)
    back = jpeg.decode(plan.frame, MemoryBytes(stream))
    out = samples(frame, b"".join(bytes(strip) for strip in back.strips))
    if colour == "YBR_FULL":
        assert back.frame.photometric_interpretation == "YBR_FULL"
        luma = native @ (0.299, 0.587, 0.114)
        assert np.abs(out[..., 0] - luma).max() < 4
    else:
        assert back.frame.photometric_interpretation == "RGB"
        assert np.abs(out - native).max() < 8


def test_shared_chroma_is_taken_as_it_is() -> None:
    frame = replace(description(17, 34, samples=3), photometric_interpretation="YBR_FULL_422")
    y, x = np.mgrid[0:17, 0:17]
    pairs = np.stack([6 * x + y, 6 * x + 3 + y, 100 + 2 * x, 180 - 3 * y], axis=2)
    stream = encoded(JPEG_BASELINE, frame, pairs.astype(np.uint8).tobytes(), HIGHEST)
    full = replace(frame, photometric_interpretation="YBR_FULL")
    out = samples(full, decoded(JPEG_BASELINE, full, stream))
    assert np.abs(out[:, 0::2, 0] - pairs[..., 0]).max() <= 2
    assert np.abs(out[:, 1::2, 0] - pairs[..., 1]).max() <= 2
    assert np.abs(out[:, 0::2, 1] - pairs[..., 2]).max() <= 2
    assert np.abs(out[:, 0::2, 2] - pairs[..., 3]).max() <= 2


def test_quality_scales_the_tables_of_the_standard() -> None:
    assert jpeg_quantisation.ZIGZAG[:10] == (0, 1, 8, 16, 9, 2, 3, 10, 17, 24)
    assert sorted(jpeg_quantisation.ZIGZAG) == list(range(64))
    luminance = jpeg_quantisation.LUMINANCE
    assert luminance[:6] == (16, 11, 12, 14, 12, 10)
    assert jpeg_quantisation.scaled(luminance, 50) == luminance
    assert set(jpeg_quantisation.scaled(luminance, 100)) == {1}
    assert max(jpeg_quantisation.scaled(luminance, 1)) == 255
    assert jpeg_quantisation.scaled(luminance, 90)[:6] == (3, 2, 2, 3, 2, 2)


def test_rows_that_come_once_have_codes_for_all_that_may_come() -> None:
    """Noise in the whole range at quality 100 has the rarest symbols."""
    for uid, bits in ((JPEG_BASELINE, 8), (JPEG_EXTENDED, 12)):
        for kind in ("noise", "extremes"):
            frame = description(80, 80, bits_stored=bits)
            native = picture(frame, kind)
            stream = encoded(uid, frame, native.tobytes(), HIGHEST, strip_rows=80)
            assert np.abs(samples(frame, decoded(uid, frame, stream)) - native).max() <= 2


def test_rows_that_change_between_two_readings_are_told() -> None:
    frame = description(16, 16)

    class Changing:
        repeatable = True
        calls = 0

        def strips(self):  # type: ignore[no-untyped-def]
            self.calls += 1
            yield bytes(256) if self.calls == 1 else picture(frame, "noise").tobytes()

    with pytest.raises(LocalError, match="rows changed while"):
        list(jpeg.encode(JPEG_BASELINE, frame, Changing(), EncodeSettings()).pieces)


def test_restart_markers_are_followed() -> None:
    """Each row of blocks coded for itself is an interval of so many MCUs."""
    frame = description(80, 48)
    native = picture(frame, "gradient").tobytes()
    row = replace(frame, rows=8)
    size = row.length
    scans = [
        scan_of(encoded(JPEG_BASELINE, row, native[at : at + size], TYPICAL))
        for at in range(0, len(native), size)
    ]
    plain = encoded(JPEG_BASELINE, frame, native, TYPICAL)
    joined = scans[0]
    for number, scan in enumerate(scans[1:]):
        # Fill bytes before a marker are allowed (T.81 B.1.1.2).
        joined += b"\xff" * (number % 3) + jpeg_segments.restart(number) + scan
    at = plain.index(b"\xff\xda")
    start = at + 10
    stream = plain[:at] + jpeg_segments.restart_interval(6) + plain[at:start] + joined + b"\xff\xd9"
    out = decoded(JPEG_BASELINE, frame, stream)
    assert out == decoded(JPEG_BASELINE, frame, plain)
    assert out == decoded(JPEG_BASELINE, frame, stream, read_at_most=3)
    wrong = stream.replace(b"\xff\xd3", b"\xff\xd5")
    rows, error = salvaged(JPEG_BASELINE, frame, wrong)
    assert error is not None and "in the rows 33 to 40 of 80" in str(error)
    assert rows == out[: 32 * 48]


def test_components_in_scans_of_their_own_are_put_together() -> None:
    frame = replace(description(43, 50, samples=3), photometric_interpretation="YBR_FULL")
    native = picture(frame, "gradient")
    grey = description(43, 50)
    together = encoded(JPEG_BASELINE, frame, native.tobytes(), replace(TYPICAL, quality=50))
    header, _ = read_header(MemoryBytes(together))
    components = [Component(number, 1, 1, 0) for number in (1, 2, 3)]
    stream = jpeg_segments.START_OF_IMAGE
    stream += jpeg_segments.quantisation_tables({0: header.quantisation_tables[0]})
    stream += jpeg_segments.frame_header(SOF0, 8, 43, 50, components)
    for index in range(3):
        plane = np.ascontiguousarray(native[..., index]).tobytes()
        single = encoded(JPEG_BASELINE, grey, plane, EncodeSettings(quality=50))
        tables = read_header(MemoryBytes(single))[0].huffman_tables
        # Each scan has tables of its own under the same numbers.
        stream += jpeg_segments.huffman_tables(dict(tables))
        stream += jpeg_segments.scan_header(
            components, [ScanComponent(index, 0, 0)], spectral_start=0, spectral_end=63
        )
        stream += scan_of(single)
    out = decoded(JPEG_BASELINE, frame, stream + b"\xff\xd9")
    for index in range(3):
        plane = np.ascontiguousarray(native[..., index]).tobytes()
        single = encoded(JPEG_BASELINE, grey, plane, EncodeSettings(quality=50))
        assert out[index::3] == decoded(JPEG_BASELINE, grey, single)
    with pytest.raises(FrameDamaged, match="comes in no scan"):
        decoded(JPEG_BASELINE, frame, stream[: stream.rindex(b"\xff\xc4")] + b"\xff\xd9")


def test_streams_of_cameras_without_tables_mean_the_typical_ones() -> None:
    frame = description(40, 40, samples=3)
    native = picture(frame, "gradient").tobytes()
    stream = encoded(JPEG_BASELINE, frame, native, TYPICAL)
    at = stream.index(b"\xff\xc4")
    without = stream[:at] + stream[at + 2 + int.from_bytes(stream[at + 2 : at + 4]) :]
    assert decoded(JPEG_BASELINE, frame, without) == decoded(JPEG_BASELINE, frame, stream)


def test_a_scan_header_that_tells_of_no_coefficients_is_taken_for_all() -> None:
    """Many stored images say Ss = Se = 0."""
    frame = description(40, 40, bits_stored=12)
    stream = encoded(JPEG_EXTENDED, frame, picture(frame, "gradient").tobytes())
    at = stream.index(b"\xff\xda") + 7
    assert stream[at : at + 3] == b"\x00\x3f\x00"
    defective = stream[: at + 1] + b"\0" + stream[at + 2 :]
    assert decoded(JPEG_EXTENDED, frame, defective) == decoded(JPEG_EXTENDED, frame, stream)


def test_the_frame_header_decides_not_the_transfer_syntax() -> None:
    frame = description(20, 20, samples=3)
    stream = encoded(JPEG_BASELINE, frame, picture(frame, "gradient").tobytes())
    assert decoded(JPEG_EXTENDED, frame, stream) == decoded(JPEG_BASELINE, frame, stream)
    wide = FrameDescription(20, 20, 1, 16, 12)
    grey = description(20, 20)
    low = encoded(JPEG_BASELINE, grey, picture(grey, "gradient").tobytes())
    out = np.frombuffer(decoded(JPEG_EXTENDED, wide, low), "<u2")
    assert np.array_equal(out, np.frombuffer(decoded(JPEG_BASELINE, grey, low), "u1"))


def test_streams_that_are_not_sequential_are_refused_by_name() -> None:
    frame = description(8, 8)
    stream = encoded(JPEG_BASELINE, frame, bytes(64))
    for marker, words in ((0xC2, "progressive"), (0xC3, "lossless"), (0xC9, "SOF9")):
        with pytest.raises(FrameDamaged, match=words):
            decoded(JPEG_BASELINE, frame, stream.replace(b"\xff\xc0", bytes((0xFF, marker))))


def test_a_stream_that_is_not_the_objects_is_told() -> None:
    frame = description(24, 32)
    stream = encoded(JPEG_BASELINE, frame, bytes(24 * 32))
    for other, words in (
        (replace(frame, rows=23), "24 rows, the object 23"),
        (replace(frame, columns=33), "32 columns, the object 33"),
        (description(24, 32, samples=3), "1 components, the object 3"),
    ):
        with pytest.raises(FrameDamaged, match=words):
            decoded(JPEG_BASELINE, other, stream)
    deep = description(8, 8, bits_stored=12)
    with pytest.raises(FrameDamaged, match="12 bits, the object cells of 8"):
        decoded(JPEG_EXTENDED, description(8, 8), encoded(JPEG_EXTENDED, deep, bytes(128)))
    table = stream.index(b"\xff\xdb")
    with pytest.raises(FrameDamaged, match="quantisation table 0 is missing"):
        decoded(JPEG_BASELINE, frame, stream[: table + 4] + b"\x01" + stream[table + 5 :])


@pytest.mark.parametrize("uid, count, bits", FRAMES)
def test_damage_is_told_with_its_place_and_the_rows_before_it_are_kept(
    uid: str, count: int, bits: int
) -> None:
    frame = description(90, 70, samples=count, bits_stored=bits)
    native = picture(frame, "noise").tobytes()
    stream = encoded(uid, frame, native)
    whole = decoded(uid, frame, stream)
    rows, error = salvaged(uid, frame, stream[: len(stream) * 2 // 3])
    assert error is not None and "ends in the rows" in str(error)
    assert 0 < len(rows) < len(whole) and whole.startswith(rows)
    assert len(stream) // 2 < error.position <= len(stream)


@pytest.mark.parametrize("uid, count, bits", FRAMES)
def test_no_damaged_stream_does_more_than_complain(uid: str, count: int, bits: int) -> None:
    frame = description(31, 45, samples=count, bits_stored=bits)
    native = picture(frame, "edges").tobytes()
    complaints = 0
    for broken in damaged(encoded(uid, frame, native), 5, 300):
        try:
            rows, error = salvaged(uid, frame, broken)
        except FrameDamaged:
            complaints += 1
        else:
            assert len(rows) <= len(native) and len(rows) % frame.row_length == 0
            complaints += error is not None
    assert complaints > 100


def test_what_jpeg_cannot_hold_is_refused() -> None:
    frame = description(16, 16)
    for uid, other, words in (
        (JPEG_BASELINE, description(16, 16, bits_stored=12), "8 bits only"),
        (JPEG_BASELINE, replace(frame, photometric_interpretation="PALETTE COLOR"), "PALETTE"),
        (JPEG_BASELINE, replace(frame, pixel_representation=1), "signed"),
        (JPEG_EXTENDED, description(16, 16, bits_stored=16), "9 to 12 bits"),
        (JPEG_EXTENDED, description(16, 16, samples=3, bits_stored=12), "colour of 8 bits"),
        (JPEG_BASELINE, FrameDescription(8, 9, 3, 8, 8, 0, "YBR_FULL_422"), "odd number"),
        (JPEG_BASELINE, replace(frame, columns=65536), "65535"),
    ):
        assert words in jpeg.refusal(uid, other, EncodeSettings())
        with pytest.raises(LocalError):
            jpeg.encode(uid, other, PassingRows([]), EncodeSettings())
    assert "quality" in jpeg.refusal(JPEG_BASELINE, frame, EncodeSettings(quality=0))
    assert "YBR_ICT" in jpeg.refusal(JPEG_BASELINE, frame, EncodeSettings(colour="YBR_ICT"))
    assert not jpeg.refusal(JPEG_EXTENDED, description(9, 9, bits_stored=10), EncodeSettings())


@pytest.mark.parametrize("uid, count, bits", [FRAMES[1], FRAMES[3]])
def test_an_image_of_4096_columns_takes_two_mebibytes_at_most(
    uid: str, count: int, bits: int
) -> None:
    frame = description(512, 4096, samples=count, bits_stored=bits)
    strip = picture(replace(frame, rows=16), "noise").tobytes()
    repeated = strip * 32
    warm = replace(frame, rows=16)
    encoded(uid, warm, strip)
    how = EncodeSettings(quality=50)
    tracemalloc.start()
    try:
        pieces = jpeg.encode(uid, frame, StoredRows(frame, MemoryBytes(repeated)), how).pieces
        kept = tracemalloc.get_traced_memory()[0]
        for _ in pieces:
            pass
        assert tracemalloc.get_traced_memory()[1] - kept < 2 << 20
    finally:
        tracemalloc.stop()
    stream = encoded(uid, frame, repeated, how)
    tracemalloc.start()
    try:
        for _ in jpeg.decode(frame, MemoryBytes(stream)).strips:
            pass
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()
