"""JPEG-LS (ITU-T T.87) against itself, what its streams may contain, and damaged streams."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from agent.codecs import jpeg_ls, jpeg_segments
from agent.codecs.codec import EncodeSettings
from agent.codecs.damage import FrameDamaged
from agent.codecs.frame import FrameDescription
from agent.codecs.jpeg_ls_markers import LSE, Presets
from agent.dataset.transfer_syntaxes import JPEG_LS_LOSSLESS, JPEG_LS_NEAR_LOSSLESS
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
from tests.codecs.jpeg_ls_streams import LINE, NONE, SAMPLE, stream, tall_enough

MODES = ((1, NONE), (3, NONE), (3, LINE), (3, SAMPLE))


def near_settings(near: int) -> EncodeSettings:
    return EncodeSettings(near=near)


@pytest.mark.parametrize("samples, signed", ((1, False), (1, True), (3, False)))
@pytest.mark.parametrize("kind", KINDS)
def test_what_goes_in_comes_out(samples: int, signed: bool, kind: str) -> None:
    for rows, columns in SIZES:
        for bits in range(2, 17):
            frame = description(rows, columns, samples=samples, bits_stored=bits, signed=signed)
            native = picture(frame, kind).tobytes()
            coded = encoded(JPEG_LS_LOSSLESS, frame, native)
            assert decoded(JPEG_LS_LOSSLESS, frame, coded) == native


@pytest.mark.parametrize("samples, bits", ((1, 8), (1, 12), (1, 16), (3, 8), (3, 16)))
def test_strips_and_small_reads_make_no_difference(samples: int, bits: int) -> None:
    frame = description(tall_enough(bits, samples), 64, samples=samples, bits_stored=bits)
    for kind in ("noise", "edges"):
        native = picture(frame, kind).tobytes()
        coded = encoded(JPEG_LS_LOSSLESS, frame, native)
        assert decoded(JPEG_LS_LOSSLESS, frame, coded, read_at_most=701) == native
        once = encoded(JPEG_LS_LOSSLESS, frame, native, strip_rows=7)
        assert decoded(JPEG_LS_LOSSLESS, frame, once) == native
        assert once == coded or bits == 12


@pytest.mark.parametrize("rows, columns", ((2, 65535), (65535, 2)))
def test_the_longest_sides_that_there_are(rows: int, columns: int) -> None:
    frame = description(rows, columns, samples=3, bits_stored=16)
    native = picture(frame, "noise").tobytes()
    coded = encoded(JPEG_LS_LOSSLESS, frame, native)
    assert decoded(JPEG_LS_LOSSLESS, frame, coded) == native


@pytest.mark.parametrize("samples", (1, 3))
@pytest.mark.parametrize("kind", KINDS)
def test_no_error_is_above_near(samples: int, kind: str) -> None:
    for bits in range(2, 17):
        for near in (0, 1, 2, 3, 10, 100, 255):
            if near > ((1 << bits) - 1) // 2:
                continue
            frame = description(31, 33, samples=samples, bits_stored=bits)
            native = picture(frame, kind)
            coded = encoded(JPEG_LS_NEAR_LOSSLESS, frame, native.tobytes(), near_settings(near))
            back = np.frombuffer(decoded(JPEG_LS_NEAR_LOSSLESS, frame, coded), native.dtype)
            errors = np.abs(back.astype(int) - native.astype(int).ravel())
            assert errors.max() <= near
            assert back.max() < 1 << bits


def test_signed_samples_may_be_nearly_right_but_keep_their_sign() -> None:
    frame = description(20, 30, bits_stored=12, signed=True)
    native = (picture(frame, "noise") // 2).astype("<i2")
    coded = encoded(JPEG_LS_NEAR_LOSSLESS, frame, native.tobytes(), near_settings(5))
    back = np.frombuffer(decoded(JPEG_LS_NEAR_LOSSLESS, frame, coded), "<i2")
    assert 0 < np.abs(back - native.ravel()).max() <= 5
    for extreme in (2045, -2046):
        native[7, 7] = extreme
        with pytest.raises(LocalError, match="sign"):
            encoded(JPEG_LS_NEAR_LOSSLESS, frame, native.tobytes(), near_settings(5))


def test_bits_above_the_stored_ones_survive_where_nothing_may_be_lost() -> None:
    frame = description(20, 30, bits_stored=12)
    native = (picture(frame, "noise") | np.uint16(0x9000)).tobytes()
    for rows in (0, 3):
        coded = encoded(JPEG_LS_LOSSLESS, frame, native, strip_rows=rows)
        assert decoded(JPEG_LS_LOSSLESS, frame, coded) == native
    with pytest.raises(LocalError, match="more than its 12 bits"):
        encoded(JPEG_LS_NEAR_LOSSLESS, frame, native)


# ---- what streams may contain ----


@pytest.mark.parametrize("samples, interleave", MODES)
@pytest.mark.parametrize("near", (0, 2))
def test_all_interleave_modes_are_read(samples: int, interleave: int, near: int) -> None:
    for bits in (8, 11, 16):
        for rows, columns in SIZES:
            frame = description(rows, columns, samples=samples, bits_stored=bits)
            for kind in KINDS:
                native = picture(frame, kind)
                coded = stream(native, bits, interleave, near=near)
                back = np.frombuffer(decoded(JPEG_LS_LOSSLESS, frame, coded), native.dtype)
                assert np.abs(back.astype(int) - native.astype(int).ravel()).max() <= near


@pytest.mark.parametrize("samples, interleave", MODES)
@pytest.mark.parametrize("restart_rows", (1, 4, 29, 100))
def test_restart_intervals_are_read(samples: int, interleave: int, restart_rows: int) -> None:
    for bits in (8, 12):
        frame = description(41, 17, samples=samples, bits_stored=bits)
        for kind in KINDS:
            native = picture(frame, kind)
            coded = stream(native, bits, interleave, restart_rows=restart_rows)
            assert decoded(JPEG_LS_LOSSLESS, frame, coded) == native.tobytes()
            assert decoded(JPEG_LS_LOSSLESS, frame, coded, read_at_most=5) == native.tobytes()


@pytest.mark.parametrize("length", (2, 3, 4))
def test_a_restart_interval_has_two_to_four_bytes(length: int) -> None:
    frame = description(9, 17)
    native = picture(frame, "noise")
    coded = stream(native, 8, NONE, restart_rows=4)
    short = jpeg_segments.restart_interval(4)
    long = jpeg_segments.segment(0xDD, (4).to_bytes(length, "big"))
    assert decoded(JPEG_LS_LOSSLESS, frame, coded.replace(short, long)) == native.tobytes()


@pytest.mark.parametrize("samples, interleave", MODES)
def test_preset_parameters_are_read(samples: int, interleave: int) -> None:
    presets = (
        Presets(0, 9, 9, 9, 31),
        Presets(4000, 5, 11, 40, 3),
        Presets(4095, 2, 3, 4, 4095),
        Presets(3000, 0, 0, 0, 0),
    )
    for each in presets:
        frame = description(50, 40, samples=samples, bits_stored=12)
        for kind in KINDS:
            native = np.minimum(picture(frame, kind), each.largest or 4095).astype("<u2")
            coded = stream(native, 12, interleave, presets=each)
            assert decoded(JPEG_LS_LOSSLESS, frame, coded) == native.tobytes()


def test_the_default_thresholds_are_those_of_the_standard() -> None:
    # T.87 Table C.3 for 8 bits; C.2.4.1.1.1 for the others.
    assert Presets().complete(8, 0) == (255, 3, 7, 21, 64)
    assert Presets().complete(12, 0) == (4095, 18, 67, 276, 64)
    assert Presets().complete(16, 0) == (65535, 18, 67, 276, 64)
    assert Presets().complete(8, 3) == (255, 12, 22, 42, 64)
    assert Presets().complete(2, 0) == (3, 2, 3, 3, 64)
    assert Presets().complete(3, 2) == (7, 6, 6, 6, 64)


def test_spiff_headers_comments_and_unused_mapping_tables_are_passed_over() -> None:
    frame = description(9, 11)
    native = picture(frame, "gradient")
    spiff = jpeg_segments.segment(0xE8, b"SPIFF\0" + bytes(24))
    # SPIFF counts the SOI that follows as a part of its last entry (T.84 F.2.2.3).
    end = jpeg_segments.segment(0xE8, b"\0\0\0\1\xff\xd8")
    table = jpeg_segments.segment(LSE, bytes((2, 1, 1)) + bytes(range(256)))
    before = spiff + end + table + jpeg_segments.comment(b"words") + b"\xff\xff\xff"
    assert decoded(JPEG_LS_LOSSLESS, frame, stream(native, 8, NONE, before=before)) == (
        native.tobytes()
    )


def test_signed_samples_of_fewer_bits_get_their_sign() -> None:
    frame = description(9, 11, bits_stored=12, signed=True)
    native = picture(frame, "noise")
    coded = stream(native.view("<u2") & np.uint16(0xFFF), 12, NONE)
    assert decoded(JPEG_LS_LOSSLESS, frame, coded) == native.tobytes()


def test_what_follows_the_end_is_padding() -> None:
    frame = description(9, 11)
    native = picture(frame, "noise").tobytes()
    coded = encoded(JPEG_LS_LOSSLESS, frame, native)
    assert decoded(JPEG_LS_LOSSLESS, frame, coded + bytes(5)) == native
    # DCMTK pads before the marker.
    extended = coded[:-2] + b"\xff\xff\xd9"
    assert decoded(JPEG_LS_LOSSLESS, frame, extended) == native


# ---- damage ----


@pytest.mark.parametrize("samples, interleave", MODES)
def test_the_rows_before_damage_come_out(samples: int, interleave: int) -> None:
    frame = description(60, 50, samples=samples, bits_stored=12)
    native = picture(frame, "gradient")
    coded = stream(native, 12, interleave)
    # Of scans of single components the last one has to begin.
    cut = len(coded) * 5 // 6
    rows, error = salvaged(JPEG_LS_LOSSLESS, frame, coded[:cut])
    assert error is not None and "ends in row" in str(error)
    assert 0 < len(rows) < native.nbytes and native.tobytes().startswith(rows)
    assert cut - 16 <= error.position <= cut


def test_a_restart_marker_out_of_turn_is_damage() -> None:
    frame = description(12, 17)
    coded = stream(picture(frame, "noise"), 8, NONE, restart_rows=2)
    rows, error = salvaged(JPEG_LS_LOSSLESS, frame, coded.replace(b"\xff\xd1", b"\xff\xd4"))
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
    coded = encoded(JPEG_LS_LOSSLESS, other, picture(other, "noise").tobytes())
    with pytest.raises(FrameDamaged, match=words):
        decoded(JPEG_LS_LOSSLESS, frame, coded)


def test_headers_that_cannot_be_are_refused() -> None:
    frame = description(8, 8)
    coded = stream(picture(frame, "noise"), 8, NONE, presets=Presets(255, 3, 7, 21, 64))
    scan, presets = coded.index(b"\xff\xda"), coded.index(b"\xff\xf8")
    for at, value, words in (
        (1, 0xD9, "no JPEG stream"),
        (3, 0xC3, "SOF3, which is not JPEG-LS"),
        (scan + 5, 9, "not its turn"),
        (scan + 6, 1, "mapping table"),
        (scan + 7, 128, "NEAR 128"),
        (scan + 8, 1, "interleave mode 1"),
        (scan + 8, 3, "interleave mode 3"),
        (scan + 9, 1, "point transform 1"),
        (presets + 4, 4, "extended dimensions"),
        (presets + 4, 9, "type 9"),
        (presets + 6, 2, "MAXVAL, T1, T2, T3, RESET 2, "),
        (presets + 5, 1, "MAXVAL, T1, T2, T3, RESET 511, "),
        (presets + 8, 8, "255, 8, 7"),
        (presets + 14, 2, "21, 2 for"),
    ):
        broken = bytearray(coded)
        broken[at] = value
        with pytest.raises(FrameDamaged, match=words):
            decoded(JPEG_LS_LOSSLESS, frame, bytes(broken))
    for segment, words in (
        (jpeg_segments.segment(0xE8, b"mrfx\1"), "as HP does"),
        (struct.pack(">HHB", 0xFFDD, 3, 1), "restart interval"),
        (struct.pack(">HH", 0xFFE0, 1), "length 1"),
        (coded[2:scan], "second frame header"),
    ):
        with pytest.raises(FrameDamaged, match=words):
            decoded(JPEG_LS_LOSSLESS, frame, coded[:scan] + segment + coded[scan:])
    with pytest.raises(FrameDamaged, match="before the frame header"):
        decoded(JPEG_LS_LOSSLESS, frame, coded[:2] + coded[scan:])


def test_colours_must_all_be_there_once_and_of_one_size() -> None:
    colour = description(8, 8, samples=3)
    three = stream(picture(colour, "noise"), 8, NONE)
    last = three.rindex(b"\xff\xda")
    with pytest.raises(FrameDamaged, match="2 of 3 components"):
        decoded(JPEG_LS_LOSSLESS, colour, three[:last] + b"\xff\xd9")
    twice = bytearray(three)
    twice[last + 5] = 8
    with pytest.raises(FrameDamaged, match="twice"):
        decoded(JPEG_LS_LOSSLESS, colour, bytes(twice))
    sampled = bytearray(three)
    sampled[13] = 0x21
    with pytest.raises(FrameDamaged, match="differ in size"):
        decoded(JPEG_LS_LOSSLESS, colour, bytes(sampled))


@pytest.mark.parametrize("samples, interleave", MODES)
@pytest.mark.parametrize("near", (0, 3))
def test_no_damaged_stream_does_more_than_complain(
    samples: int, interleave: int, near: int
) -> None:
    frame = description(31, 45, samples=samples, bits_stored=12)
    complaints = 0
    for kind in ("gradient", "edges"):
        native = picture(frame, kind)
        for restart_rows in (0, 4):
            coded = stream(native, 12, interleave, near=near, restart_rows=restart_rows)
            for broken in damaged(coded, 5, 150):
                try:
                    rows, error = salvaged(JPEG_LS_LOSSLESS, frame, broken)
                except FrameDamaged:
                    complaints += 1
                else:
                    assert len(rows) <= native.nbytes and len(rows) % frame.row_length == 0
                    complaints += error is not None
    assert complaints > 150


def test_what_jpeg_ls_cannot_hold_is_refused() -> None:
    refusal = jpeg_ls.refusal
    grey, plain = description(8, 8), EncodeSettings()
    shared = FrameDescription(8, 8, 3, 8, 8, 0, "YBR_FULL_422")
    palette = FrameDescription(8, 8, 1, 8, 8, 0, "PALETTE COLOR")
    assert "YBR_FULL_422" in refusal(JPEG_LS_LOSSLESS, shared, plain)
    assert "8 or 16" in refusal(JPEG_LS_LOSSLESS, FrameDescription(8, 8, 1, 8, 1), plain)
    deep = FrameDescription(8, 8, 3, 16, 12, 0, "YBR_FULL")
    assert "8 bits only" in refusal(JPEG_LS_LOSSLESS, deep, plain)
    signed = description(8, 8, samples=3, signed=True)
    assert "no signed samples of RGB" in refusal(JPEG_LS_LOSSLESS, signed, plain)
    assert "8 or 16" in refusal(JPEG_LS_LOSSLESS, description(8, 8, bits_stored=32), plain)
    assert "65535" in refusal(JPEG_LS_LOSSLESS, description(65536, 8), plain)
    assert "palette" in refusal(JPEG_LS_NEAR_LOSSLESS, palette, plain)
    assert not refusal(JPEG_LS_LOSSLESS, palette, plain)
    assert "0 to 127" in refusal(JPEG_LS_NEAR_LOSSLESS, grey, near_settings(128))
    assert not refusal(JPEG_LS_NEAR_LOSSLESS, grey, near_settings(127))
    assert not refusal(JPEG_LS_LOSSLESS, grey, near_settings(128))
    with pytest.raises(LocalError, match="0 to 127"):
        encoded(JPEG_LS_NEAR_LOSSLESS, grey, bytes(64), near_settings(128))
