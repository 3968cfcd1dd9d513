"""The checklists' lines on compression: RV-11 to RV-13 of Sorna Reviewer, line 55 of the C-DAC SDK.

JPEG 2000, which they name as well, comes with its own issue.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from agent.archive.archive import Archive
from agent.dataset.transfer_syntaxes import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    JPEG_LOSSLESS_FIRST_ORDER,
    JPEG_LS_LOSSLESS,
    encoding_of,
)
from agent.network.status import SOP_CLASS_NOT_SUPPORTED
from agent.workflow.delivery import Delivery
from tests.cli_of import gantry
from tests.codecs.videos import video
from tests.peers.programs import program
from tests.peers.pynetdicom_peer import PynetdicomScp
from tests.workflow.test_converted_copy import SAMPLES, sent_to, stored
from tests.workflow.test_delivery import delivered, peer, store, until, until_held
from tests.workflow.test_outgoing import run

pytest.importorskip("agent.codecs.kernel")
pytestmark = pytest.mark.peer

MPEG2 = "1.2.840.10008.1.2.4.100"
DECODERS = {
    "1.2.840.10008.1.2.5": "dcmdrle",
    "1.2.840.10008.1.2.4.50": "dcmdjpeg",
    "1.2.840.10008.1.2.4.51": "dcmdjpeg",
    "1.2.840.10008.1.2.4.57": "dcmdjpeg",
    "1.2.840.10008.1.2.4.70": "dcmdjpeg",
    "1.2.840.10008.1.2.4.80": "dcmdjpls",
    "1.2.840.10008.1.2.4.81": "dcmdjpls",
}
NATIVE = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN)
ENCODERS = {
    "1.2.840.10008.1.2.5": ("dcmcrle",),
    "1.2.840.10008.1.2.4.50": ("dcmcjpeg", "+eb"),
    "1.2.840.10008.1.2.4.51": ("dcmcjpeg", "+ee"),
    "1.2.840.10008.1.2.4.57": ("dcmcjpeg", "+el", "+sv", "6"),
    "1.2.840.10008.1.2.4.70": ("dcmcjpeg", "+e1"),
    "1.2.840.10008.1.2.4.80": ("dcmcjpls",),
    "1.2.840.10008.1.2.4.81": ("dcmcjpls", "+en", "+md", "2"),
}


def dcmtk(name: str, *words: str | Path) -> None:
    subprocess.run([program("dcmtk", name), *words], check=True, capture_output=True)


def native(path: Path) -> NDArray[np.int64]:
    """The pixels as DCMTK decodes them."""
    uid = pydicom.dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID
    plain = path.with_suffix(".plain")
    if uid in DECODERS:
        dcmtk(DECODERS[uid], path, plain)
    else:
        plain = path
    return pydicom.dcmread(plain).pixel_array.astype(np.int64)


def compressed(folder: Path, uid: str) -> Path:
    """An image of DCMTK's own encoder: grey, and of eight bits where the codec asks for that."""
    source = SAMPLES / "CT_small.dcm"
    if uid.endswith((".50", ".51", ".81")):
        eight = pydicom.dcmread(source)
        cells = ((eight.pixel_array.astype(int) - eight.pixel_array.min()) // 16).clip(0, 255)
        eight.BitsAllocated = eight.BitsStored = 8
        eight.HighBit, eight.PixelRepresentation = 7, 0
        for keyword in ("SmallestImagePixelValue", "LargestImagePixelValue", "PixelPaddingValue"):
            if keyword in eight:
                del eight[keyword]
        eight.PixelData = cells.astype(np.uint8).tobytes()
        eight["PixelData"].VR = "OB"
        source = folder / "eight.dcm"
        eight.save_as(source)
    target = folder / f"{uid.rpartition('.')[2]}.dcm"
    name, *options = ENCODERS[uid]
    dcmtk(name, *options, source, target)
    return target


@pytest.fixture(scope="module", params=NATIVE)
def one_native_syntax(
    request: pytest.FixtureRequest,
    start_shared_peer: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[PynetdicomScp, str]:
    """A peer that takes one native syntax, and this syntax."""
    folder = tmp_path_factory.mktemp("far")
    taken = request.param
    return start_shared_peer(PynetdicomScp(folder, transfer_syntaxes=(taken,))), taken


@pytest.mark.parametrize("uid", [*ENCODERS, "1.2.840.10008.1.2.1.99"])
def test_rv_11_a_peer_that_takes_one_native_syntax_gets_every_object_decoded(
    tmp_path: Path, one_native_syntax: tuple[PynetdicomScp, str], uid: str
) -> None:
    far, taken = one_native_syntax
    for each in far.received():
        each.unlink()
    path = compressed(tmp_path, uid) if uid in ENCODERS else SAMPLES / "image_dfl.dcm"
    source = pydicom.dcmread(path)
    arrived = sent_to(tmp_path, far, source)
    assert arrived.file_meta.TransferSyntaxUID == taken
    assert arrived.SOPInstanceUID == source.SOPInstanceUID
    difference = np.abs(arrived.pixel_array.astype(int) - native(path))
    assert difference.max() <= (1 if uid.endswith((".50", ".51")) else 0)
    for keyword in ("LossyImageCompression", "LossyImageCompressionRatio", "ImageType"):
        assert arrived.get(keyword) == source.get(keyword)


def test_rv_11_colours_come_out_as_the_attributes_say(tmp_path: Path, start_peer: Any) -> None:
    far = start_peer(PynetdicomScp(tmp_path / "far", transfer_syntaxes=NATIVE[:1]))
    source = pydicom.dcmread(SAMPLES / "SC_rgb_jpeg_dcmtk.dcm")
    assert source.PhotometricInterpretation == "YBR_FULL"
    arrived = sent_to(tmp_path, far, source)
    assert arrived.PlanarConfiguration == 0
    dcmtk("dcmdjpeg", "+cn", SAMPLES / "SC_rgb_jpeg_dcmtk.dcm", tmp_path / "plain")
    plain = pydicom.dcmread(tmp_path / "plain")
    assert arrived.PhotometricInterpretation == "YBR_FULL"
    ours = pydicom.pixels.pixel_array(arrived, raw=True).astype(int)
    theirs = np.frombuffer(plain.PixelData, np.uint8).astype(int)
    if plain.PlanarConfiguration:
        theirs = theirs.reshape(3, *ours.shape[:2]).transpose(1, 2, 0)
    assert np.abs(ours - theirs.reshape(ours.shape)).max() <= 1


@pytest.mark.parametrize("taken", [JPEG_LOSSLESS_FIRST_ORDER, JPEG_LS_LOSSLESS])
@pytest.mark.parametrize("name", ["CT_small.dcm", "SC_rgb_small_odd.dcm"])
def test_rv_12_a_peer_that_takes_one_lossless_syntax_gets_native_objects_in_it(
    tmp_path: Path, start_peer: Any, name: str, taken: str
) -> None:
    far = start_peer(PynetdicomScp(tmp_path / "far", transfer_syntaxes=(taken,)))
    source = pydicom.dcmread(SAMPLES / name)
    arrived = sent_to(tmp_path, far, source, f'transfer_syntaxes = ["{taken}"]\n')
    assert arrived.file_meta.TransferSyntaxUID == taken
    (path,) = far.received()
    dcmtk(DECODERS[taken], path, tmp_path / "plain")
    assert np.array_equal(pydicom.dcmread(tmp_path / "plain").pixel_array, source.pixel_array)


def mpeg2() -> Dataset:
    made = pydicom.dcmread(SAMPLES / "SC_rgb_small_odd.dcm")
    made.SOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.1.1"
    made.SOPInstanceUID = "1.2.3.100"
    made.Rows, made.Columns, made.NumberOfFrames = 576, 720, 3
    made.PhotometricInterpretation = "YBR_PARTIAL_420"
    made.PixelData = pydicom.encaps.encapsulate([video("mpeg2")], has_bot=False)
    made["PixelData"].is_undefined_length = True
    made.file_meta.TransferSyntaxUID = MPEG2
    return made


def test_rv_13_a_video_is_never_transcoded_and_the_others_of_the_batch_go_on(
    tmp_path: Path, start_peer: Any
) -> None:
    far = start_peer(PynetdicomScp(tmp_path / "far", transfer_syntaxes=NATIVE))
    others = [pydicom.dcmread(SAMPLES / name) for name in ("CT_small.dcm", "MR_small_RLE.dcm")]

    async def test(archive: Archive, delivery: Delivery) -> None:
        await archive.pause("FAR")
        await store(archive, delivery, *map(stored, (others[0], mpeg2(), others[1])))
        await archive.resume("FAR")
        delivery.hurry()
        (held,) = await until_held(archive, 1)
        assert held.status == SOP_CLASS_NOT_SUPPORTED
        assert "does not take this SOP class in this transfer syntax" in str(held.reason)
        await until(delivered(delivery, "FAR", 2))

    run(tmp_path, peer("FAR", far.port), test)
    arrived = {pydicom.dcmread(path).SOPInstanceUID for path in far.received()}
    assert arrived == {each.SOPInstanceUID for each in others}


@pytest.mark.parametrize("uid", ENCODERS)
def test_cd_55_every_still_codec_decodes_as_dcmtk_does_and_encodes_for_it(
    tmp_path: Path, uid: str
) -> None:
    path = compressed(tmp_path, uid)
    wanted = native(path)
    done = gantry("convert", path, tmp_path / "ours", "--to", EXPLICIT_VR_LITTLE_ENDIAN)
    assert done.returncode == 0, done.output
    ours = pydicom.dcmread(tmp_path / "ours").pixel_array.astype(int)
    lossy = uid.endswith((".50", ".51"))
    assert np.abs(ours - wanted).max() <= (1 if lossy else 0)
    if encoding_of(uid).lossy:
        return
    done = gantry("convert", tmp_path / "ours", tmp_path / "again", "--to", uid)
    assert done.returncode == 0, done.output
    assert pydicom.dcmread(tmp_path / "again").file_meta.TransferSyntaxUID == uid
    assert np.array_equal(native(tmp_path / "again"), wanted)


@pytest.mark.parametrize("uid", ["1.2.840.10008.1.2.4.94", MPEG2])
def test_cd_55_video_and_jpip_objects_pass_unchanged(
    tmp_path: Path, start_peer: Any, uid: str
) -> None:
    far = start_peer(PynetdicomScp(tmp_path / "far", transfer_syntaxes=(uid,)))
    if uid == MPEG2:
        made = mpeg2()
    else:
        made = pydicom.dcmread(SAMPLES / "CT_small.dcm")
        del made.PixelData
        made.PixelDataProviderURL = "https://example.test/jpip?target=1"
        made.file_meta.TransferSyntaxUID = uid
    sent = stored(made)
    sent_to(tmp_path, far, made)
    (path,) = far.received()
    assert path.read_bytes().endswith(sent.data_set)
