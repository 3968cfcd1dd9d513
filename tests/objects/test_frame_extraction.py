"""Frames of an image as an instance of their own (PS3.4 Y.3), held against pydicom's reading."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, generate_frames
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from agent.dataset.attributes import Attributes
from agent.dataset.byte_source import MemoryBytes
from agent.errors import PeerError, StatusReaction
from agent.objects.bulk_data import write_without_bulk_data
from agent.objects.frame_extraction import FrameExtraction
from agent.objects.frame_selection import (
    CALCULATED_FRAME_LIST,
    SIMPLE_FRAME_LIST,
    TIME_RANGE,
    FrameSelection,
    frame_selection_of,
    selected_frames,
)

GOLDEN = (2, 9, 3, 12, 0xFFFFFFFF, 5)


def identifier(**keys: Any) -> Attributes:
    return Attributes(QueryRetrieveLevel="FRAME", **keys)


def status_of(error: PeerError) -> int:
    assert isinstance(error.reaction, StatusReaction)
    return error.reaction.status


@pytest.mark.parametrize(
    ("selection", "frames", "wanted"),
    [
        (FrameSelection(CALCULATED_FRAME_LIST, GOLDEN), 25, [2, 5, 8, 12, 17, 22]),
        (FrameSelection(CALCULATED_FRAME_LIST, GOLDEN), 10, [2, 5, 8]),
        (FrameSelection(CALCULATED_FRAME_LIST, (1, 7, 3)), 25, [1, 4, 7]),
        (FrameSelection(CALCULATED_FRAME_LIST, (1, 1, 1, 3, 99, 1)), 4, [1, 3, 4]),
        (FrameSelection(SIMPLE_FRAME_LIST, (1, 3, 25, 26)), 25, [1, 3, 25]),
    ],
)
def test_ps34_076_lists_of_frames_mean_what_the_standard_says(
    selection: FrameSelection, frames: int, wanted: list[int]
) -> None:
    assert selected_frames(selection, frames) == wanted


@pytest.mark.parametrize(
    ("keys", "status"),
    [
        ({}, 0xAA04),
        ({"SimpleFrameList": [1], "CalculatedFrameList": [1, 2, 1]}, 0xAA04),
        ({"SimpleFrameList": [1], "TimeRange": [0.0, 1.0]}, 0xAA04),
        ({"SimpleFrameList": [0, 1]}, 0xAA04),
        ({"SimpleFrameList": [2, 1]}, 0xAA04),
        ({"SimpleFrameList": [2, 2]}, 0xAA04),
        ({"CalculatedFrameList": [1, 2]}, 0xAA04),
        ({"CalculatedFrameList": [3, 2, 1]}, 0xAA04),
        ({"CalculatedFrameList": [1, 2, 0]}, 0xAA04),
        ({"CalculatedFrameList": [1, 5, 1, 4, 9, 1]}, 0xAA04),
        ({"TimeRange": [1.0]}, 0xAA04),
        ({"TimeRange": [2.0, 1.0]}, 0xAA04),
        ({"TimeRange": [0.0, 1.0]}, 0xAA03),
        ({"SimpleFrameList": [26]}, 0xAA00),
        ({"CalculatedFrameList": [26, 30, 1]}, 0xAA00),
    ],
)
def test_ps34_077_what_cannot_be_meant_has_a_status_of_its_own(
    keys: dict[str, Any], status: int
) -> None:
    with pytest.raises(PeerError) as caught:
        selected_frames(frame_selection_of(identifier(**keys)), 25, None)
    assert status_of(caught.value) == status


def image(frames: int = 25, **more: Any) -> Dataset:
    """A multi-frame image of 3 x 2 samples; frame n is full of n."""
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7.2", "1.2.3.4"
    made.StudyInstanceUID, made.SeriesInstanceUID = "1.2.3", "1.2.3.1"
    made.PatientID, made.ContentDate, made.ContentTime = "P", "20260102", "101112.5"
    made.InstanceCreationDate, made.ConcatenationUID = "20260102", "1.2.3.9"
    made.add_new(0x00091001, "LO", "private")
    made.Rows, made.Columns, made.SamplesPerPixel = 2, 3, 1
    made.PhotometricInterpretation = "MONOCHROME2"
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit, made.PixelRepresentation, made.NumberOfFrames = 7, 0, frames
    made.PixelData = b"".join(bytes([n] * 6) for n in range(1, frames + 1))
    for keyword, value in more.items():
        setattr(made, keyword, value)
    return made


def encoded(made: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """The data set as it would lie behind its file meta information."""
    stream = io.BytesIO()
    plain = Dataset()
    plain.update(made)
    little = syntax != ExplicitVRBigEndian
    dcmwrite(stream, plain, little_endian=little, implicit_vr=syntax == ImplicitVRLittleEndian)
    return stream.getvalue()


def extracted(
    data: bytes, selection: FrameSelection, syntax: str = ExplicitVRLittleEndian
) -> Dataset:
    parts: list[bytes] = []
    extraction = FrameExtraction(MemoryBytes(data), syntax, selection)
    extraction.write(parts.append)
    found = read(b"".join(parts), syntax)
    assert found.SOPInstanceUID == extraction.new_instance_uid
    return found


def read(data: bytes, syntax: str) -> Dataset:
    head = b"\x02\x00\x10\x00UI" + struct.pack("<H", len(syntax) + len(syntax) % 2)
    head += syntax.encode() + b"\0" * (len(syntax) % 2)
    length = b"\x02\x00\x00\x00UL\x04\x00" + struct.pack("<I", len(head))
    return dcmread(io.BytesIO(bytes(128) + b"DICM" + length + head + data))


SIMPLE = FrameSelection(SIMPLE_FRAME_LIST, (2, 5))


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian]
)
def test_ps34_076_a_new_instance_has_the_frames_and_says_where_they_are_from(syntax: str) -> None:
    source = image(PatientName="Müller", SpecificCharacterSet="ISO_IR 100")
    golden = FrameSelection(CALCULATED_FRAME_LIST, GOLDEN)
    found = extracted(encoded(source, syntax), golden, syntax)
    assert found.NumberOfFrames == 6
    assert found.PixelData == b"".join(bytes([n] * 6) for n in (2, 5, 8, 12, 17, 22))
    (item,) = found[0x00081164].value
    assert item[0x00081167].value == "1.2.3.4"
    assert list(item[CALCULATED_FRAME_LIST].value) == list(GOLDEN)
    (equipment,) = found.ContributingEquipmentSequence
    assert equipment.PurposeOfReferenceCodeSequence[0].CodeValue == "109105"
    assert found.SOPClassUID == source.SOPClassUID and found.SOPInstanceUID != "1.2.3.4"
    assert (found.StudyInstanceUID, found.SeriesInstanceUID) == ("1.2.3", "1.2.3.1")
    assert found.PatientName == "Müller"
    assert "ConcatenationUID" not in found and "InstanceCreationDate" not in found
    assert 0x00091001 not in found


def test_the_same_request_makes_the_same_instance_and_another_another() -> None:
    data = encoded(image())
    first, again = extracted(data, SIMPLE), extracted(data, SIMPLE)
    assert first == again
    other = extracted(data, FrameSelection(SIMPLE_FRAME_LIST, (2, 6)))
    assert other.SOPInstanceUID != first.SOPInstanceUID


def test_an_extraction_of_an_extraction_keeps_the_items_of_both() -> None:
    first = extracted(encoded(image()), FrameSelection(SIMPLE_FRAME_LIST, (3, 4, 9)))
    second = extracted(encoded(first), FrameSelection(SIMPLE_FRAME_LIST, (1, 3)))
    assert second.PixelData == bytes([3] * 6 + [9] * 6)
    assert [each[0x00081167].value for each in second[0x00081164].value] == [
        "1.2.3.4",
        first.SOPInstanceUID,
    ]
    assert len(second.ContributingEquipmentSequence) == 2


def test_encapsulated_frames_go_as_they_are() -> None:
    source = image()
    frames = [bytes([n]) * (10 + n % 2 * 3) for n in range(1, 26)]
    source.PixelData = encapsulate(frames, has_bot=True)
    source["PixelData"].VR = "OB"
    source["PixelData"].is_undefined_length = True
    found = extracted(encoded(source), SIMPLE, RLELossless)
    kept = list(generate_frames(found.PixelData, number_of_frames=2))
    assert [each.rstrip(b"\0") for each in kept] == [frames[1], frames[4]]


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_functional_groups_are_those_of_the_frames(syntax: str) -> None:
    def group(number: int) -> Dataset:
        plane, item = Dataset(), Dataset()
        plane.ImagePositionPatient = [0, 0, number]
        item.PlanePositionSequence = Sequence([plane])
        item.add_new(0x00091001, "LO", "private")
        return item

    source = image(10, PerFrameFunctionalGroupsSequence=[group(n) for n in range(1, 11)])
    source.SharedFunctionalGroupsSequence = Sequence([group(0)])
    selection = FrameSelection(SIMPLE_FRAME_LIST, (2, 5, 10))
    found = extracted(encoded(source, syntax), selection, syntax)
    groups = found.PerFrameFunctionalGroupsSequence
    assert [each.PlanePositionSequence[0].ImagePositionPatient[2] for each in groups] == [2, 5, 10]
    assert all(0x00091001 not in each for each in groups)
    shared = found.SharedFunctionalGroupsSequence[0]
    assert shared.PlanePositionSequence[0].ImagePositionPatient[2] == 0
    assert found.PixelData[::6] == bytes([2, 5, 10])


@pytest.mark.parametrize("name", ["SC_rgb_rle_2frame.dcm", "SC_rgb_rle_16bit_2frame.dcm"])
def test_frames_of_a_file_of_others(name: str) -> None:
    path = Path(str(get_testdata_file(name)))
    source = dcmread(path)
    offset = 132 + 12 + source.file_meta.FileMetaInformationGroupLength
    data = path.read_bytes()[offset:]
    found = extracted(data, FrameSelection(SIMPLE_FRAME_LIST, (2,)), RLELossless)
    assert (found.pixel_array == source.pixel_array[1]).all()


def test_times_by_frame_time() -> None:
    data = encoded(image(FrameTime=40.0, FrameIncrementPointer=0x00181063, StartTrim=1))
    found = extracted(data, FrameSelection(TIME_RANGE, (0.08, 0.2)))
    assert found.NumberOfFrames == 4 and found.PixelData[0] == 3
    assert float(found.FrameTime) == 40.0 and float(found.FrameDelay) == 80.0
    assert list(found[0x00081164].value[0][TIME_RANGE].value) == [0.08, 0.2]
    every_third = extracted(data, FrameSelection(CALCULATED_FRAME_LIST, (1, 9, 3)))
    assert float(every_third.FrameTime) == 120.0 and "StartTrim" not in every_third
    uneven = extracted(data, FrameSelection(SIMPLE_FRAME_LIST, (1, 2, 5)))
    assert [float(each) for each in uneven.FrameTimeVector] == [0, 40, 120]
    assert "FrameTime" not in uneven and uneven.FrameIncrementPointer == 0x00181065


def test_times_by_a_vector_which_is_cut_as_other_vectors_are() -> None:
    data = encoded(
        image(
            4,
            FrameTimeVector=[0, 10, 20, 30],
            FrameIncrementPointer=0x00181065,
            RotationVector=[1, 2, 3, 4],
            PageNumberVector=[5, 6, 7, 8],
            RepresentativeFrameNumber=4,
        )
    )
    found = extracted(data, FrameSelection(TIME_RANGE, (0.01, 0.06)))
    assert found.PixelData[::6] == bytes([2, 3, 4])
    assert [float(each) for each in found.FrameTimeVector] == [0, 20, 30]
    assert list(found.RotationVector) == [2, 3, 4] and list(found.PageNumberVector) == [6, 7, 8]
    assert found.RepresentativeFrameNumber == 3


def test_times_by_frame_reference_date_time() -> None:
    groups = []
    for number in range(3):
        content, item = Dataset(), Dataset()
        content.FrameReferenceDateTime = f"2026010210111{2 + number}.75"
        item.FrameContentSequence = Sequence([content])
        groups.append(item)
    data = encoded(image(3, PerFrameFunctionalGroupsSequence=Sequence(groups)))
    found = extracted(data, FrameSelection(TIME_RANGE, (1.25, 9.0)))
    assert found.PixelData[::6] == bytes([2, 3])
    assert len(found.PerFrameFunctionalGroupsSequence) == 2
    with pytest.raises(PeerError) as caught:
        extracted(data, FrameSelection(TIME_RANGE, (8.0, 9.0)))
    assert status_of(caught.value) == 0xAA00


@pytest.mark.parametrize(
    ("changes", "selection", "status"),
    [
        ({"NumberOfFrames": None}, SIMPLE, 0xAA01),
        ({"NumberOfFrames": None}, FrameSelection(TIME_RANGE, (0, 1)), 0xAA03),
        ({"DimensionOrganizationType": "TILED_FULL"}, SIMPLE, 0xAA01),
        ({"GridFrameOffsetVector": [0, 1]}, SIMPLE, 0xAA01),
        ({"PixelData": None}, SIMPLE, 0xAA02),
        ({"NumberOfFrames": 26}, SIMPLE, 0xAA02),
        ({"Rows": None}, SIMPLE, 0xAA02),
    ],
)
def test_ps34_077_what_no_instance_can_be_made_of_says_so(
    changes: dict[str, Any], selection: FrameSelection, status: int
) -> None:
    source = image()
    for keyword, value in changes.items():
        if value is None:
            delattr(source, keyword)
        else:
            setattr(source, keyword, value)
    with pytest.raises(PeerError) as caught:
        extracted(encoded(source), selection)
    assert status_of(caught.value) == status


def test_ps34_077_a_video_is_not_cut() -> None:
    with pytest.raises(PeerError) as caught:
        extracted(encoded(image()), SIMPLE, "1.2.840.10008.1.2.4.102")
    assert status_of(caught.value) == 0xAA02


def with_bulk_data() -> Dataset:
    """All attributes of Table Z.1-1, an icon, a waveform, and private data."""
    made = image()
    icon = image(1)
    del icon[0x00091001]
    made.IconImageSequence = Sequence([icon])
    wave = Dataset()
    wave.WaveformBitsAllocated, wave.NumberOfWaveformChannels = 8, 1
    wave.add_new(0x54001010, "OB", bytes(10))
    made.WaveformSequence = Sequence([wave])
    made.add_new(0x00287FE0, "UR", "http://example.com")
    made.add_new(0x00420011, "OB", b"%PDF")
    made.add_new(0x56000020, "OF", bytes(8))
    made.add_new(0x60023000, "OW", bytes(8))
    made.add_new(0x60020010, "US", 2)
    made.add_new(0x50043000, "OW", bytes(8))
    made.add_new(0x5004200C, "OW", bytes(8))
    return made


@pytest.mark.parametrize("source", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("target", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_ps34_079_bulk_data_is_gone_and_nothing_else_is_changed(source: str, target: str) -> None:
    made = with_bulk_data()
    parts: list[bytes] = []
    write_without_bulk_data(MemoryBytes(encoded(made, source)), source, target, parts.append)
    found = read(b"".join(parts), target)
    for tag in (
        *(0x7FE00010, 0x00287FE0, 0x00420011, 0x56000020, 0x60023000, 0x50043000, 0x5004200C),
    ):
        assert tag not in found
        del made[tag]
    del made.WaveformSequence[0][0x54001010]
    assert found.IconImageSequence[0].PixelData == bytes([1] * 6)
    # In implicit VR nobody knows what a private attribute is.
    for private in (made.pop(0x00091001), found.pop(0x00091001)):
        assert private.value in ("private", b"private ")
    expected = read(encoded(made, target), target)
    assert found.to_json_dict() == expected.to_json_dict()


def test_ps34_079_compressed_frames_are_left_out_and_a_compressed_icon_stays() -> None:
    made = image()
    icon = image(1)
    for each, frames in ((made, [b"\1\2"] * 25), (icon, [b"\3\4"])):
        each.PixelData = encapsulate(frames)
        each["PixelData"].VR = "OB"
        each["PixelData"].is_undefined_length = True
    made.IconImageSequence = Sequence([icon])
    parts: list[bytes] = []
    data = MemoryBytes(encoded(made))
    write_without_bulk_data(data, RLELossless, RLELossless, parts.append)
    found = read(b"".join(parts), RLELossless)
    assert "PixelData" not in found
    (kept,) = generate_frames(found.IconImageSequence[0].PixelData, number_of_frames=1)
    assert kept == b"\3\4"


def test_deflated_data_sets_are_cut_too() -> None:
    import zlib

    deflater = zlib.compressobj(wbits=-15)
    data = deflater.compress(encoded(image())) + deflater.flush()
    found = extracted(data, SIMPLE, DeflatedExplicitVRLittleEndian)
    assert found.PixelData == bytes([2] * 6 + [5] * 6)
