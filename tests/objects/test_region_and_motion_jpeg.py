"""Regions, masks, and the frames of motion JPEG cameras, from the device to the object."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.encaps import generate_frames

from agent.errors import LocalError
from agent.objects.iods import SECONDARY_CAPTURE_IMAGE
from agent.objects.packing import packing
from agent.objects.region import Rectangle, RegionPacking
from hal.capture.motion_jpeg import HUFFMAN_TABLES, whole_frame
from tests.peers.dcmtk import run_dcmtk
from tests.peers.sample_files import samples


def packed(frame: np.ndarray, pixel_format: str, region: Rectangle, masks: list[Rectangle]) -> Any:
    height, width = frame.shape[:2]
    inner = packing(pixel_format, region.width, region.height, SECONDARY_CAPTURE_IMAGE)
    made = RegionPacking(inner, pixel_format, (width, height), region, masks)
    stride = frame.strides[0]
    data = b"".join(bytes(each) for each in made.strips(memoryview(frame).cast("B"), stride))
    return np.frombuffer(data, np.uint8), made.pixels


@given(st.data())
def test_a_region_with_masks_is_what_numpy_cuts_out(data: st.DataObject) -> None:
    width, height = 40, 30
    frame = np.arange(width * height * 3, dtype=np.uint32).astype(np.uint8)
    frame = frame.reshape(height, width, 3)
    left = data.draw(st.integers(0, width - 1))
    top = data.draw(st.integers(0, height - 1))
    region = Rectangle(
        left, top, data.draw(st.integers(1, width - left)), data.draw(st.integers(1, height - top))
    )
    masks = []
    for _ in range(data.draw(st.integers(0, 2))):
        x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
        masks.append(
            Rectangle(
                x, y, data.draw(st.integers(1, width - x)), data.draw(st.integers(1, height - y))
            )
        )
    found, pixels = packed(frame, "RGB24", region, masks)
    expected = frame.copy()
    for mask in masks:
        expected[mask.top : mask.top + mask.height, mask.left : mask.left + mask.width] = 0
    cut = expected[top : top + region.height, left : left + region.width]
    assert (pixels.rows, pixels.columns) == (region.height, region.width)
    assert np.array_equal(found.reshape(cut.shape), cut)


def test_a_mask_of_shared_chroma_is_black() -> None:
    frame = np.full((8, 16, 2), 200, np.uint8)
    region = Rectangle(0, 0, 16, 8)
    found, pixels = packed(frame, "YUYV", region, [Rectangle(3, 2, 4, 3)])
    if pixels.photometric_interpretation == "YBR_FULL_422":
        rows = found.reshape(8, 8, 4)
        assert (rows[2, 1:4] == (0, 0, 128, 128)).all()
        assert (rows[1] == 200).all()


@pytest.mark.parametrize("region", [(0, 0, 41, 1), (-1, 0, 4, 4), (0, 0, 0, 4), (39, 0, 2, 2)])
def test_what_lies_outside_the_frame_is_refused(region: tuple[int, int, int, int]) -> None:
    frame = np.zeros((30, 40), np.uint8)
    with pytest.raises(LocalError):
        packed(frame, "GREY", Rectangle(*region), [])


def test_a_region_begins_with_a_whole_group() -> None:
    with pytest.raises(LocalError, match="whole group"):
        packed(np.zeros((8, 16, 2), np.uint8), "YUYV", Rectangle(1, 0, 4, 4), [])


@pytest.fixture(scope="module")
def jpeg(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A baseline frame with the standard Huffman tables, made by DCMTK."""
    folder = tmp_path_factory.mktemp("jpeg")
    source = next(each for each in samples() if each.path.name == "SC_rgb_rle.dcm").path
    native, made = folder / "native.dcm", folder / "jpeg.dcm"
    run_dcmtk("dcmdrle", source, native).check()
    run_dcmtk("dcmcjpeg", "+eb", "-ho", native, made).check()
    (frame,) = generate_frames(dcmread(made).PixelData, number_of_frames=1)
    return bytes(frame)


def without_tables(frame: bytes) -> bytes:
    out, at = frame[:2], 2
    while frame[at + 1] != 0xDA:
        length = int.from_bytes(frame[at + 2 : at + 4], "big") + 2
        if frame[at + 1] != 0xC4:
            out += frame[at : at + length]
        at += length
    return out + frame[at:]


def tables_of(frame: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 2
    while frame[at + 1] != 0xDA:
        length = int.from_bytes(frame[at + 2 : at + 4], "big")
        body = frame[at + 4 : at + 2 + length] if frame[at + 1] == 0xC4 else b""
        while body:
            count = 17 + sum(body[1:17])
            found[body[0]] = body[1:count]
            body = body[count:]
        at += 2 + length
    return found


def restored(frame: bytes) -> bytes:
    return b"".join(bytes(each) for each in whole_frame(memoryview(frame)))


def test_the_tables_are_those_of_the_standard_as_dcmtk_writes_them(jpeg: bytes) -> None:
    assert tables_of(jpeg) == tables_of(restored(without_tables(jpeg)))
    assert HUFFMAN_TABLES in restored(without_tables(jpeg))


def test_a_frame_that_is_whole_stays_as_it_is_and_filling_goes(jpeg: bytes) -> None:
    frame = jpeg.rstrip(b"\0")
    assert restored(frame) == frame
    assert restored(frame + bytes(500)) == frame


@given(st.binary(max_size=300))
def test_any_bytes_come_through(data: bytes) -> None:
    assert isinstance(restored(data), bytes)
    assert isinstance(restored(b"\xff\xd8" + data), bytes)


def test_a_motion_jpeg_camera_is_a_jpeg_baseline_encoder(
    jpeg: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agent.workflow import camera, capture_settings
    from hal.capture.base import CaptureDevice, CaptureFormat, Frame, SignalState

    sent = without_tables(jpeg)

    class Camera(CaptureDevice):
        """A webcam of which only the stream is real: DCMTK's, as a camera would send it."""

        number = 0

        def describe(self) -> Any: ...
        def open(self) -> None: ...
        def configure(self, wanted: CaptureFormat) -> CaptureFormat:
            return wanted

        def start(self) -> None: ...
        def stop(self) -> None: ...
        def close(self) -> None: ...
        @property
        def descriptor(self) -> None:
            return None

        def deadline(self) -> float:
            return time.monotonic()

        def dequeue(self) -> Frame:
            self.number += 1
            return Frame(
                self,
                0,
                memoryview(sent + bytes(64)),
                pixel_format="MJPEG",
                width=100,
                height=100,
                stride=0,
                sequence=self.number,
                timestamp=self.number / 25,
                dropped=0,
            )

        def requeue(self, frame: Frame) -> None:
            frame.view.release()

        def events(self) -> list[Any]:
            return []

        @property
        def signal(self) -> SignalState:
            return SignalState.PRESENT

        @property
        def dropped(self) -> int:
            return 0

    monkeypatch.setattr(camera, "open_driver", lambda *_, **__: Camera())
    from tests.objects.examples import examination

    settings = capture_settings.CaptureSettings(
        kind="v4l2",
        implementation_class_uid="1.2.3",
        implementation_version_name="TEST",
        form={"pixel_format": "MJPEG", "width": 100, "height": 100},
        modality="US",
    )
    path = tmp_path / "made.dcm"
    with path.open("w+b") as file:
        exposed = camera.Camera(settings).expose(
            capture_settings.Exposure(examination(), "1.2.3.4", 1, 3), file.fileno()
        )
    assert exposed.frames == 3
    made = dcmread(path)
    assert made.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.50"
    assert made.LossyImageCompression == "01"
    frames = list(generate_frames(made.PixelData, number_of_frames=3))
    assert {bytes(each).rstrip(b"\0") for each in frames} == {restored(sent)}
    native = tmp_path / "native.dcm"
    run_dcmtk("dcmdjpeg", path, native).check()
    assert dcmread(native).pixel_array.shape[0] == 3
