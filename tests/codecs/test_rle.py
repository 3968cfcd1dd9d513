"""RLE Lossless (PS3.5 G) against itself, the reference decoders, and damaged streams."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from agent.codecs import packbits, rle
from agent.codecs.codec import EncodeSettings
from agent.codecs.frame import FrameDescription
from agent.dataset.transfer_syntaxes import RLE_LOSSLESS
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

DEPTHS = ((1, 8), (3, 8), (1, 12), (1, 16), (3, 16), (1, 32))


@pytest.fixture(params=("kernel", "packbits"))
def pack_bits(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "packbits":
        monkeypatch.setitem(sys.modules, "agent.codecs.kernel", None)
        assert rle._pack_bits() is packbits
    return str(request.param)


@pytest.mark.parametrize("samples, bits", DEPTHS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_goes_in_comes_out(samples: int, bits: int, kind: str, pack_bits: str) -> None:
    for rows, columns in SIZES:
        frame = description(rows, columns, samples=samples, bits_stored=bits)
        native = picture(frame, kind).tobytes()
        stream = encoded(RLE_LOSSLESS, frame, native)
        assert stream == encoded(RLE_LOSSLESS, frame, native, strip_rows=3)
        assert len(stream) % 2 == 0
        assert decoded(RLE_LOSSLESS, frame, stream) == native
        assert decoded(RLE_LOSSLESS, frame, stream, read_at_most=7) == native


def test_kernel_and_plain_python_write_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = description(40, 700, bits_stored=16)
    pictures = [picture(frame, kind).tobytes() for kind in KINDS]
    ours = [encoded(RLE_LOSSLESS, frame, native) for native in pictures]
    monkeypatch.setitem(sys.modules, "agent.codecs.kernel", None)
    assert ours == [encoded(RLE_LOSSLESS, frame, native) for native in pictures]


@pytest.mark.peer
@pytest.mark.parametrize("samples, bits", [each for each in DEPTHS if each[1] < 32])
def test_pydicom_decodes_our_streams_and_we_decode_its(samples: int, bits: int) -> None:
    from pydicom.pixels.decoders.rle import _rle_decode_frame
    from pydicom.pixels.encoders.base import EncodeRunner
    from pydicom.pixels.encoders.native import _encode_frame  # type: ignore[attr-defined]
    from pydicom.uid import RLELossless

    for kind in KINDS:
        frame = description(33, 65, samples=samples, bits_stored=bits)
        native = picture(frame, kind)
        stream = encoded(RLE_LOSSLESS, frame, native.tobytes())
        theirs = np.frombuffer(
            _rle_decode_frame(stream, frame.rows, frame.columns, samples, frame.bits_allocated),
            f"<u{frame.sample_length}",
        ).reshape(samples, frame.rows, frame.columns)
        assert np.array_equal(theirs.transpose(1, 2, 0), native)
        runner = EncodeRunner(RLELossless)
        runner.set_options(
            rows=frame.rows,
            columns=frame.columns,
            samples_per_pixel=samples,
            photometric_interpretation=frame.photometric_interpretation,
            bits_allocated=frame.bits_allocated,
            bits_stored=bits,
            pixel_representation=0,
            number_of_frames=1,
            planar_configuration=0,
        )
        assert decoded(RLE_LOSSLESS, frame, _encode_frame(native.tobytes(), runner)) == (
            native.tobytes()
        )


def test_damage_is_told_with_its_place_and_the_rows_before_it_are_kept() -> None:
    frame = description(50, 40, bits_stored=16)
    native = picture(frame, "gradient").tobytes()
    stream = encoded(RLE_LOSSLESS, frame, native)
    rows, error = salvaged(RLE_LOSSLESS, frame, stream[:-200])
    assert error is not None and "segment 2 ends in row" in str(error)
    assert 0 < len(rows) < len(native) and native.startswith(rows)
    assert "frame 7, byte" in str(error.of_frame(7))


def test_no_damaged_stream_does_more_than_complain() -> None:
    frame = description(31, 45, samples=3)
    native = picture(frame, "edges").tobytes()
    stream = encoded(RLE_LOSSLESS, frame, native)
    complaints = 0
    for broken in damaged(stream, 5, 400):
        try:
            rows, error = salvaged(RLE_LOSSLESS, frame, broken)
        except Exception as raised:
            from agent.codecs.damage import FrameDamaged

            assert isinstance(raised, FrameDamaged)
            complaints += 1
        else:
            assert len(rows) <= len(native) and len(rows) % frame.row_length == 0
            complaints += error is not None
    assert complaints > 100


def test_what_rle_cannot_hold_is_refused() -> None:
    settings = EncodeSettings()
    bits = FrameDescription(8, 8, 1, 1, 1)
    shared = FrameDescription(8, 8, 3, 8, 8, 0, "YBR_FULL_422")
    assert "single bits" in rle.refusal(RLE_LOSSLESS, bits, settings)
    assert "shared chroma" in rle.refusal(RLE_LOSSLESS, shared, settings)
