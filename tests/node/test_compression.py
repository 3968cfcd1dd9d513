"""Compression on receipt and at capture, by a running node."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest

from agent.dataset.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    JPEG_LOSSLESS_FIRST_ORDER,
    RLE_LOSSLESS,
)
from tests.cli_of import gantry
from tests.node.running import NodeProcess
from tests.peers.dcmtk import dcmsend
from tests.peers.sample_files import data_set_bytes

pytest.importorskip("agent.codecs.kernel")

SAMPLES = Path(pydicom.__file__).parent / "data" / "test_files"
RULE = '[[compress]]\nname = "{name}"\nto = [{to}]\n'


def rule(*to: str, name: str = "all", more: str = "") -> str:
    return RULE.format(name=name, to=", ".join(f'"{each}"' for each in to)) + more


def stored(node: NodeProcess, *paths: Path) -> list[pydicom.Dataset]:
    """What lies in the archive after these files were sent, by what they were."""
    dcmsend(node.port, *paths, called="GANTRY").check()
    found = {each.SOPInstanceUID: each for each in map(pydicom.dcmread, node.objects())}
    return [found[pydicom.dcmread(path).SOPInstanceUID] for path in paths]


@pytest.mark.peer
def test_images_are_stored_compressed_where_a_rule_says_so(tmp_path: Path) -> None:
    names = ("CT_small.dcm", "SC_rgb_small_odd.dcm", "rtdose.dcm", "test-SR.dcm")
    with NodeProcess(tmp_path, rule("jpeg-lossless", "rle")) as node:
        found = stored(node, *(SAMPLES / name for name in names))
    kinds = [each.file_meta.TransferSyntaxUID for each in found]
    assert kinds[:3] == [JPEG_LOSSLESS_FIRST_ORDER, JPEG_LOSSLESS_FIRST_ORDER, RLE_LOSSLESS]
    assert not kinds[3].is_compressed
    for name, made in zip(names[:3], found, strict=False):
        original = pydicom.dcmread(SAMPLES / name)
        assert np.array_equal(made.pixel_array, original.pixel_array)
        assert made.SOPInstanceUID == original.SOPInstanceUID
        assert made.get("LossyImageCompression", "00") == "00"


@pytest.mark.peer
def test_what_no_rule_is_for_is_stored_byte_for_byte(tmp_path: Path) -> None:
    rules = rule("jpeg-lossless", name="us", more='sop_class = ["UltrasoundImageStorage"]\n')
    rules += rule("jpeg-lossless", name="far", more='calling = ["FAR"]\n')
    source = SAMPLES / "CT_small.dcm"
    with NodeProcess(tmp_path, rules) as node:
        (found,) = stored(node, source)
        assert found.file_meta.TransferSyntaxUID == EXPLICIT_VR_LITTLE_ENDIAN
        (path,) = node.objects()
        # dcmsend leaves Data Set Trailing Padding out.
        assert data_set_bytes(source).startswith(data_set_bytes(path))


@pytest.mark.peer
def test_what_is_compressed_already_and_what_is_no_image_stay_as_they_came(tmp_path: Path) -> None:
    broken = pydicom.dcmread(SAMPLES / "CT_small.dcm")
    broken.Rows = 4000
    broken.SOPInstanceUID = "1.2.3.4"
    broken.save_as(tmp_path / "broken.dcm")
    with NodeProcess(tmp_path / "node", rule("jpeg-lossless")) as node:
        rle, odd = stored(node, SAMPLES / "MR_small_RLE.dcm", tmp_path / "broken.dcm")
        assert rle.file_meta.TransferSyntaxUID == RLE_LOSSLESS
        assert odd.file_meta.TransferSyntaxUID == EXPLICIT_VR_LITTLE_ENDIAN
        assert odd.PixelData == broken.PixelData


@pytest.mark.parametrize("to", ["jpeg-baseline", EXPLICIT_VR_LITTLE_ENDIAN])
def test_a_rule_that_would_lose_something_is_refused(tmp_path: Path, to: str) -> None:
    node = NodeProcess(tmp_path, rule(to))
    done = gantry("config", "check", "--config", node.configuration)
    assert done.returncode == 2 and "compress.all.to" in done.output


@pytest.mark.parametrize(
    "pixel_format, photometric_interpretation",
    [("GREY", "MONOCHROME2"), ("YUYV", "YBR_FULL"), ("RGB24", "RGB")],
)
def test_frames_are_compressed_while_they_are_captured(
    tmp_path: Path, pixel_format: str, photometric_interpretation: str
) -> None:
    device = (
        '[[capture]]\nname = "scope"\ncompression = {to = "jpeg-lossless"}\n'
        f'settings = {{pixel_format = "{pixel_format}", width = 160, height = 120}}\n'
    )
    with NodeProcess(tmp_path, device) as node:
        done = gantry("capture", "--control", node.control)
        assert done.returncode == 0, done.output
        (path,) = node.objects()
    made = pydicom.dcmread(path)
    assert made.file_meta.TransferSyntaxUID == JPEG_LOSSLESS_FIRST_ORDER
    assert made.PhotometricInterpretation == photometric_interpretation
    assert made.pixel_array.shape[:2] == (120, 160)
    assert made.pixel_array.std() > 0
    assert subprocess.run(["dcmdjpeg", path, tmp_path / "native"]).returncode == 0
