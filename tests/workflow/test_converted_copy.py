"""Images on their way to peers that take them in another transfer syntax only."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from agent.archive.archive import Archive
from agent.configuration.load import load
from agent.dataset.file_meta import encode_file_meta
from agent.dataset.transfer_syntaxes import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    JPEG_BASELINE,
    JPEG_LOSSLESS_FIRST_ORDER,
    RLE_LOSSLESS,
)
from agent.errors import ConfigurationError
from agent.workflow.delivery import Delivery
from tests.archive.objects import SampleObject
from tests.peers.dcmtk import DcmtkStoreScp
from tests.peers.programs import program
from tests.peers.pynetdicom_peer import PynetdicomScp
from tests.peers.sample_files import data_set_bytes
from tests.workflow.test_delivery import (
    configured,
    delivered,
    open_jobs,
    peer,
    store,
    until,
    until_held,
)
from tests.workflow.test_outgoing import run

SAMPLES = Path(pydicom.__file__).parent / "data" / "test_files"
pytest.importorskip("agent.codecs.kernel")


def likes(*transfer_syntaxes: str, more: str = "") -> str:
    names = ", ".join(f'"{uid}"' for uid in transfer_syntaxes)
    return f"transfer_syntaxes = [{names}]\n{more}"


def stored(data_set: Dataset) -> SampleObject:
    """A data set of pydicom as an object that came from the network."""
    buffer = io.BytesIO()
    data_set.save_as(buffer, enforce_file_format=True)
    buffer.seek(0)
    meta = pydicom.dcmread(buffer, stop_before_pixels=True).file_meta
    start = 144 + meta.FileMetaInformationGroupLength
    return SampleObject(
        encode_file_meta(
            sop_class_uid=data_set.SOPClassUID,
            sop_instance_uid=data_set.SOPInstanceUID,
            transfer_syntax_uid=meta.TransferSyntaxUID,
            implementation_class_uid="2.25.1",
            source_ae_title="MODALITY",
        ),
        buffer.getvalue()[start:],
        data_set.SOPInstanceUID,
        sop_class_uid=data_set.SOPClassUID,
    )


def sent_to(tmp_path: Path, far: Any, what: Dataset, more: str = "", *, kinds: str = "") -> Dataset:
    """What arrives of one object."""

    async def test(archive: Archive, delivery: Delivery) -> None:
        await store(archive, delivery, stored(what))
        await until(delivered(delivery, "FAR", 1))
        assert not await open_jobs(archive)

    run(tmp_path, kinds + peer("FAR", far.port, more=more), test)
    (path,) = far.received()
    return pydicom.dcmread(path)


@pytest.mark.peer
@pytest.mark.parametrize(
    "syntax, option", [(JPEG_LOSSLESS_FIRST_ORDER, "+xs"), (RLE_LOSSLESS, "+xr")]
)
@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small_bigendian.dcm", "SC_rgb_small_odd.dcm"])
def test_mx_10_what_the_peer_likes_compressed_is_compressed_on_the_way(
    tmp_path: Path, start_peer: Any, name: str, syntax: str, option: str
) -> None:
    far = start_peer(DcmtkStoreScp(tmp_path / "far", transfer_syntaxes=(option,)))
    original = pydicom.dcmread(SAMPLES / name)
    arrived = sent_to(tmp_path, far, original, likes(syntax))
    assert arrived.file_meta.TransferSyntaxUID == syntax
    assert arrived.SOPInstanceUID == original.SOPInstanceUID
    assert np.array_equal(arrived.pixel_array, original.pixel_array)


@pytest.mark.peer
@pytest.mark.parametrize(
    "name", ["MR_small_RLE.dcm", "SC_rgb_rle_16bit_2frame.dcm", "image_dfl.dcm"]
)
def test_rv_10_what_is_stored_compressed_goes_out_native_to_a_peer_that_takes_no_other(
    tmp_path: Path, start_peer: Any, name: str
) -> None:
    far = start_peer(DcmtkStoreScp(tmp_path / "far", transfer_syntaxes=("+xi",)))
    original = pydicom.dcmread(SAMPLES / name)
    arrived = sent_to(tmp_path, far, original)
    assert arrived.file_meta.TransferSyntaxUID == IMPLICIT_VR_LITTLE_ENDIAN
    assert np.array_equal(arrived.pixel_array, original.pixel_array)


@pytest.mark.peer
def test_what_another_encoder_made_goes_out_native(tmp_path: Path, start_peer: Any) -> None:
    subprocess.run(
        [program("dcmtk", "dcmcjpeg"), "+e1", SAMPLES / "CT_small.dcm", tmp_path / "jpeg"],
        check=True,
    )
    compressed = pydicom.dcmread(tmp_path / "jpeg")
    assert compressed.file_meta.TransferSyntaxUID == JPEG_LOSSLESS_FIRST_ORDER
    far = start_peer(DcmtkStoreScp(tmp_path / "far", transfer_syntaxes=("+xi",)))
    arrived = sent_to(tmp_path, far, compressed)
    assert np.array_equal(
        arrived.pixel_array, pydicom.dcmread(SAMPLES / "CT_small.dcm").pixel_array
    )


@pytest.mark.peer
def test_a_peer_that_takes_it_as_it_is_stored_gets_the_very_bytes(
    tmp_path: Path, start_peer: Any
) -> None:
    far = start_peer(PynetdicomScp(tmp_path / "far"))
    original = pydicom.dcmread(SAMPLES / "MR_small_RLE.dcm")
    sent_to(tmp_path, far, original)
    assert data_set_bytes(far.received()[0]) == stored(original).data_set


@pytest.mark.peer
def test_a_peer_that_refuses_what_it_is_said_to_like_gets_the_object_as_it_is(
    tmp_path: Path, start_peer: Any
) -> None:
    far = start_peer(DcmtkStoreScp(tmp_path / "far", transfer_syntaxes=("+x=",)))
    original = pydicom.dcmread(SAMPLES / "CT_small.dcm")
    arrived = sent_to(tmp_path, far, original, likes(JPEG_LOSSLESS_FIRST_ORDER, RLE_LOSSLESS))
    assert arrived.file_meta.TransferSyntaxUID == EXPLICIT_VR_LITTLE_ENDIAN


@pytest.mark.peer
def test_what_cannot_be_compressed_so_goes_out_in_the_next_way_that_the_peer_takes(
    tmp_path: Path, start_peer: Any
) -> None:
    far = start_peer(PynetdicomScp(tmp_path / "far"))
    deep = pydicom.dcmread(SAMPLES / "CT_small.dcm")
    deep.BitsAllocated = deep.BitsStored = 32
    deep.HighBit = 31
    deep.Rows = deep.Rows // 2
    arrived = sent_to(tmp_path, far, deep, likes(JPEG_LOSSLESS_FIRST_ORDER, RLE_LOSSLESS))
    assert arrived.file_meta.TransferSyntaxUID == RLE_LOSSLESS
    assert np.array_equal(arrived.pixel_array, deep.pixel_array)


@pytest.mark.peer
@pytest.mark.parametrize("conversion", [(), (DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,)])
def test_a_report_is_not_compressed_as_an_image_is(
    tmp_path: Path, start_peer: Any, conversion: tuple[str, ...]
) -> None:
    far = start_peer(PynetdicomScp(tmp_path / "far"))
    report = pydicom.dcmread(SAMPLES / "test-SR.dcm")
    arrived = sent_to(tmp_path, far, report, likes(JPEG_LOSSLESS_FIRST_ORDER, *conversion))
    wanted = conversion[0] if conversion else report.file_meta.TransferSyntaxUID
    assert arrived.file_meta.TransferSyntaxUID == wanted
    assert arrived.ContentSequence == report.ContentSequence


@pytest.mark.peer
def test_an_image_whose_frames_are_damaged_is_held_and_the_others_go_on(
    tmp_path: Path, start_peer: Any
) -> None:
    far = start_peer(DcmtkStoreScp(tmp_path / "far", transfer_syntaxes=("+xi",)))
    damaged = pydicom.dcmread(SAMPLES / "SC_rgb_rle_2frame.dcm")
    first, second = pydicom.encaps.generate_frames(damaged.PixelData, number_of_frames=2)
    damaged.PixelData = pydicom.encaps.encapsulate([first, second[: len(second) // 2]])
    no_header = pydicom.dcmread(SAMPLES / "MR_small_RLE.dcm")
    no_header.PixelData = pydicom.encaps.encapsulate([bytes(80)])
    whole = pydicom.dcmread(SAMPLES / "CT_small.dcm")

    async def test(archive: Archive, delivery: Delivery) -> None:
        await store(archive, delivery, *(stored(each) for each in (damaged, no_header, whole)))
        held = await until_held(archive, 2)
        reasons = sorted(str(job.reason) for job in held)
        assert "RLE header" in reasons[0]
        assert "cannot be converted to its end" in reasons[1] and "frame 2" in reasons[1]
        await until(delivered(delivery, "FAR", 1))

    run(tmp_path, peer("FAR", far.port), test)
    (path,) = far.received()
    assert pydicom.dcmread(path).SOPInstanceUID == whole.SOPInstanceUID


@pytest.mark.peer
def test_copies_are_made_for_several_operations_at_once(tmp_path: Path, start_peer: Any) -> None:
    far = start_peer(PynetdicomScp(tmp_path / "far"))
    images = []
    for number in range(6):
        image = pydicom.dcmread(SAMPLES / "CT_small.dcm")
        image.SOPInstanceUID = f"1.2.3.{number}"
        images.append(image)

    async def test(archive: Archive, delivery: Delivery) -> None:
        await archive.pause("FAR")
        await store(archive, delivery, *map(stored, images))
        await archive.resume("FAR")
        delivery.hurry()
        await until(delivered(delivery, "FAR", 6))

    wide = likes(JPEG_LOSSLESS_FIRST_ORDER, more="window = {operations = 4}\n")
    run(tmp_path, "[workers]\ncodecs = 3\n" + peer("FAR", far.port, more=wide), test)
    for path in far.received():
        arrived = pydicom.dcmread(path)
        assert arrived.file_meta.TransferSyntaxUID == JPEG_LOSSLESS_FIRST_ORDER
        assert np.array_equal(arrived.pixel_array, images[0].pixel_array)


@pytest.mark.peer
def test_a_peer_that_may_get_lossy_images_gets_other_images(
    tmp_path: Path, start_peer: Any
) -> None:
    far = start_peer(PynetdicomScp(tmp_path / "far"))
    source = pydicom.dcmread(SAMPLES / "SC_rgb_small_odd.dcm")
    del source.SourceImageSequence
    lossy = "lossy = {allowed = true, quality = 95}\n"
    arrived = sent_to(tmp_path, far, source, likes(JPEG_BASELINE, more=lossy))
    assert arrived.file_meta.TransferSyntaxUID == JPEG_BASELINE
    assert arrived.SOPInstanceUID != source.SOPInstanceUID
    assert far.received()[0].stem == arrived.SOPInstanceUID
    assert (arrived.LossyImageCompression, arrived.LossyImageCompressionMethod) == (
        "01",
        "ISO_10918_1",
    )
    assert arrived.ImageType[0] == "DERIVED"
    (reference,) = arrived.SourceImageSequence
    assert reference.ReferencedSOPInstanceUID == source.SOPInstanceUID
    assert arrived.PhotometricInterpretation == "YBR_FULL_422"


@pytest.mark.peer
def test_without_that_permission_nothing_is_lost(tmp_path: Path, start_peer: Any) -> None:
    far = start_peer(PynetdicomScp(tmp_path / "far"))
    source = pydicom.dcmread(SAMPLES / "SC_rgb_small_odd.dcm")
    arrived = sent_to(tmp_path, far, source, likes(JPEG_BASELINE))
    assert arrived.file_meta.TransferSyntaxUID == source.file_meta.TransferSyntaxUID
    assert arrived.SOPInstanceUID == source.SOPInstanceUID


def test_lossy_copies_and_commitment_contradict_each_other(tmp_path: Path) -> None:
    more = 'lossy = {allowed = true}\ncommitment = {each = "study"}\n'
    with pytest.raises(ConfigurationError) as refused:
        load(files=[configured(tmp_path, peer("FAR", 104, more=more))])
    assert "peer.FAR.lossy.allowed" in str(refused.value)
