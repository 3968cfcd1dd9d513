import os
import resource
import signal
import tracemalloc
from itertools import pairwise

import numpy
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.encaps import generate_frames

from agent.dataset.file_meta import read_file_meta
from agent.dataset.transfer_syntaxes import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    RLE_LOSSLESS,
)
from agent.errors import LocalError, StorageError
from agent.objects.composite import begin
from agent.objects.description import (
    Element,
    InstanceDescription,
    Moment,
    PatientIdentity,
    SeriesIdentity,
)
from agent.objects.head import decimal_string
from agent.objects.iods import (
    MULTI_FRAME_GRAYSCALE_WORD_SECONDARY_CAPTURE_IMAGE,
    SECONDARY_CAPTURE_IMAGE,
    ULTRASOUND_IMAGE,
    ULTRASOUND_MULTI_FRAME_IMAGE,
)
from agent.objects.pixels import LONGEST_NATIVE_PIXEL_DATA, PixelDescription, colour, grey
from tests.objects.examples import MOMENT, ObjectFile, device, examination
from tests.objects.wrong_errors import is_wrong
from tests.peers.dicom3tools import dciodvfy


def clip(folder, frames, pixels=None, **options):
    pixels = pixels or grey(8, 12)
    file = ObjectFile(folder, ULTRASOUND_MULTI_FRAME_IMAGE, pixels, **options)
    for number in range(frames):
        file.writer.write_frame(bytes([number % 251]) * pixels.frame_length)
    return file


def test_what_is_said_of_the_examination_stands_in_the_object(tmp_path):
    file = clip(tmp_path, 2)
    finished = file.finish(2)
    read = pydicom.dcmread(file.path)
    assert read.file_meta.MediaStorageSOPInstanceUID == read.SOPInstanceUID
    assert read.SOPInstanceUID == finished.sop_instance_uid == file.sop_instance_uid
    assert read.SpecificCharacterSet == "ISO_IR 192"
    assert str(read.PatientName) == "Müller^Jürgen" and read.PatientSex == "M"
    assert str(read.ReferringPhysicianName) == "Weiß^Anna" and read.StudyDescription == "Écho"
    assert (read.AccessionNumber, read.Modality, read.SeriesNumber) == ("A1", "US", 1)
    assert read.TimezoneOffsetFromUTC == "+0100"
    assert (read.InstanceCreationDate, read.InstanceCreationTime) == ("20250102", "131415.250000")
    assert (read.AcquisitionDate, read.ContentTime) == ("20250102", "131415.250000")
    assert list(read.ImageType) == ["ORIGINAL", "PRIMARY"]
    assert read.Manufacturer == "Acme" and list(read.SoftwareVersions) == ["1.0", "2.0"]
    assert (read.NumberOfFrames, read.FrameTime, read.CineRate) == (2, 40, 25)
    assert read.FrameIncrementPointer == 0x00181063
    assert read.BurnedInAnnotation == "YES" and read.LossyImageCompression == "00"
    assert "Laterality" not in read and read.PatientOrientation in (None, "", [])


def test_measured_frame_time_replaces_the_nominal_one(tmp_path):
    file = clip(tmp_path, 3, frame_time=40.0)
    file.finish(frame_time=40.016666666666666)
    assert float(pydicom.dcmread(file.path).FrameTime) == pytest.approx(40.0166666, abs=1e-6)


def test_a_file_that_has_its_meta_information_already_is_continued(tmp_path):
    path = tmp_path / "reception"
    whole = clip(tmp_path, 1)
    whole.writer.discard()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    os.write(descriptor, whole.file_meta)
    os.lseek(descriptor, 0, os.SEEK_SET)
    writer = begin(
        descriptor,
        ULTRASOUND_IMAGE,
        examination(),
        grey(3, 3),
        device(),
        InstanceDescription(whole.sop_instance_uid, 1, MOMENT),
    )
    writer.write_frame(b"123456789")
    finished = writer.finish(1)
    assert (
        finished.data_set_offset
        == len(whole.file_meta)
        == read_file_meta(descriptor).data_set_offset
    )
    assert finished.length == path.stat().st_size == os.lseek(descriptor, 0, os.SEEK_CUR)
    data = path.read_bytes()
    header = b"\xe0\x7f\x10\x00OB\0\0" + (10).to_bytes(4, "little")
    assert data[finished.pixel_data_offset :] == header + b"123456789" + b"\0"
    os.close(descriptor)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 9),
    columns=st.integers(1, 9),
    frames=st.integers(1, 4),
    bits=st.sampled_from([8, 10, 16]),
    cuts=st.lists(st.integers(0, 200), max_size=5),
    seed=st.integers(0, 2**32 - 1),
)
def test_frames_of_any_size_in_any_pieces_are_what_is_read_back(
    tmp_path_factory, rows, columns, frames, bits, cuts, seed
):
    folder = tmp_path_factory.mktemp("object")
    pixels = grey(rows, columns, bits_stored=bits)
    random = numpy.random.default_rng(seed)
    dtype = "u1" if bits == 8 else "<u2"
    values = random.integers(0, 2**bits, (frames, rows, columns)).astype(dtype)
    uid = (
        ULTRASOUND_MULTI_FRAME_IMAGE
        if bits == 8
        else (MULTI_FRAME_GRAYSCALE_WORD_SECONDARY_CAPTURE_IMAGE)
    )
    file = ObjectFile(folder, uid, pixels)
    for frame in values:
        data = frame.tobytes()
        places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
        file.writer.write_frame([memoryview(data)[a:b] for a, b in pairwise(places)])
    file.finish(frames)
    assert file.path.stat().st_size % 2 == 0
    read = pydicom.dcmread(file.path)
    assert numpy.array_equal(read.pixel_array.reshape(values.shape), values)


@pytest.mark.peer
@pytest.mark.parametrize("syntax", [IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN])
def test_other_native_syntaxes_are_written_right(tmp_path, syntax):
    file = clip(tmp_path, 3, transfer_syntax_uid=syntax)
    file.finish(3)
    read = pydicom.dcmread(file.path)
    assert (read.NumberOfFrames, read.Rows, read.FrameIncrementPointer) == (3, 8, 0x00181063)
    assert [frame.flat[0] for frame in read.pixel_array] == [0, 1, 2]
    errors = dciodvfy(file.path)
    assert [e for e in errors if not is_wrong(e, ULTRASOUND_MULTI_FRAME_IMAGE, "")] == []


def test_encapsulated_frames_become_a_fragment_each(tmp_path):
    file = ObjectFile(
        tmp_path, ULTRASOUND_MULTI_FRAME_IMAGE, grey(8, 12), transfer_syntax_uid=RLE_LOSSLESS
    )
    assert file.writer.room is None
    frames = [b"abc", b"defg", b"h" * 1001]
    for frame in frames:
        file.writer.begin_frame()
        file.writer.write(frame[:2])
        file.writer.write(memoryview(frame)[2:])
        file.writer.end_frame()
    file.finish(3)
    read = pydicom.dcmread(file.path)
    found = list(generate_frames(read.PixelData, number_of_frames=3))
    assert found == [b"abc\0", b"defg", b"h" * 1001 + b"\0"]
    assert read["PixelData"].is_undefined_length


def test_a_deflated_object_cannot_be_begun(tmp_path):
    with pytest.raises(LocalError, match="deflated"):
        clip(tmp_path, 1, transfer_syntax_uid=DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)


def test_a_clip_of_500_frames_takes_no_memory(tmp_path):
    pixels = grey(480, 640)
    file = ObjectFile(tmp_path, ULTRASOUND_MULTI_FRAME_IMAGE, pixels)
    frame = memoryview(bytes(pixels.frame_length))
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(500):
        file.writer.write_frame(frame)
    finished = file.finish(500)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak - before < 16_384
    assert finished.length == file.path.stat().st_size > 500 * pixels.frame_length
    assert pydicom.dcmread(file.path, stop_before_pixels=True).NumberOfFrames == 500
    file.path.unlink()


def test_room_ends_at_four_gigabytes(tmp_path):
    pixels = colour(60_000, 20_000)
    file = ObjectFile(tmp_path, ULTRASOUND_MULTI_FRAME_IMAGE, pixels)
    assert file.writer.room == LONGEST_NATIVE_PIXEL_DATA // pixels.frame_length == 1
    file.writer.begin_frame()
    file.writer.discard()


def test_a_single_frame_object_takes_one_frame(tmp_path):
    file = ObjectFile(tmp_path, ULTRASOUND_IMAGE, grey(2, 2))
    file.writer.write_frame(b"1234")
    with pytest.raises(LocalError, match="no more frames"):
        file.writer.write_frame(b"1234")
    file.finish(1)
    assert "NumberOfFrames" not in pydicom.dcmread(file.path)


def test_calls_that_do_not_fit_are_refused(tmp_path):
    file = clip(tmp_path, 0, grey(2, 2))
    with pytest.raises(LocalError):
        file.writer.finish()
    with pytest.raises(LocalError):
        file.writer.write(b"x")
    file.writer.begin_frame()
    with pytest.raises(LocalError):
        file.writer.begin_frame()
    with pytest.raises(LocalError):
        file.writer.finish()
    with pytest.raises(LocalError):
        file.writer.write(b"12345")
    file.writer.write(b"123")
    with pytest.raises(LocalError):
        file.writer.end_frame()
    file.writer.write(b"4")
    file.writer.end_frame()
    with pytest.raises(LocalError):
        file.writer.finish(2)
    file.writer.finish(1)
    for act in (file.writer.finish, file.writer.begin_frame):
        with pytest.raises(LocalError):
            act()


def test_a_discarded_object_leaves_the_file_as_it_was(tmp_path):
    file = clip(tmp_path, 3)
    file.writer.begin_frame()
    file.writer.discard()
    file.writer.discard()
    assert file.path.stat().st_size == 0
    with pytest.raises(LocalError):
        file.writer.write_frame(b"")


def test_a_full_disk_is_said_and_what_was_written_can_be_taken_back(tmp_path):
    file = clip(tmp_path, 1)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(StorageError, match="full"):
            for _ in range(100):
                file.writer.write_frame(bytes(96))
        file.writer.discard()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert file.path.stat().st_size == 0


def test_a_pipe_cannot_hold_an_object():
    reader, writer = os.pipe()
    with pytest.raises(StorageError):
        begin(
            writer,
            ULTRASOUND_IMAGE,
            examination(),
            grey(2, 2),
            device(),
            InstanceDescription("1.2", 1, MOMENT),
        )
    os.close(reader)
    os.close(writer)


def test_a_clip_needs_its_frame_time():
    with pytest.raises(LocalError, match="frame time"):
        begin(
            -1,
            ULTRASOUND_MULTI_FRAME_IMAGE,
            examination(),
            grey(2, 2),
            device(),
            InstanceDescription("1.2", 1, MOMENT),
        )


@pytest.mark.peer
def test_attributes_of_the_worklist_entry_are_added_and_win(tmp_path):
    request = {
        0x00321060: Element("LO", "Echo of the heart"),
        0x00400007: Element("LO", "Écho"),
        0x00400008: Element(
            "SQ",
            (
                {
                    0x00080100: Element("SH", "E1"),
                    0x00080102: Element("SH", "99X"),
                    0x00080104: Element("LO", "Echo"),
                },
            ),
        ),
        0x00400009: Element("SH", "SPS1"),
        0x00401001: Element("SH", "RP1"),
    }
    additional = {
        0x00400275: Element("SQ", (request,)),
        0x00081030: Element("LO", "From the worklist"),
    }
    identity = examination()
    identity = type(identity)(identity.patient, identity.study, identity.series, additional)
    file = clip(tmp_path, 1, identity=identity)
    file.finish()
    read = pydicom.dcmread(file.path)
    assert read.StudyDescription == "From the worklist"
    (item,) = read.RequestAttributesSequence
    assert (item.RequestedProcedureID, item.ScheduledProcedureStepDescription) == ("RP1", "Écho")
    assert item.ScheduledProtocolCodeSequence[0].CodeMeaning == "Echo"
    errors = dciodvfy(file.path)
    assert [e for e in errors if not is_wrong(e, ULTRASOUND_MULTI_FRAME_IMAGE, "")] == []


@pytest.mark.parametrize("tag", [0x00080005, 0x00020010, 0x7FE00010, 0xFFFEE000])
def test_what_the_writer_decides_cannot_be_added(tmp_path, tag):
    identity = examination()
    identity = type(identity)(
        identity.patient, identity.study, identity.series, {tag: Element("CS", "X")}
    )
    with pytest.raises(LocalError):
        clip(tmp_path, 1, identity=identity)


@pytest.mark.parametrize(
    "patient",
    [
        PatientIdentity(name="x" * 65),
        PatientIdentity(identifier="x" * 65),
        PatientIdentity(sex="FEMALE OR MALE OR O"),
        PatientIdentity(birth_date="1970-01-31"),
    ],
)
def test_values_that_break_their_vr_are_refused_before_anything_is_written(tmp_path, patient):
    with pytest.raises(LocalError, match="too long"):
        clip(tmp_path, 1, identity=examination(patient=patient))


@settings(max_examples=60, deadline=None)
@given(
    name=st.text(
        st.characters(exclude_categories=("C", "Z"), exclude_characters="\\^="), max_size=60
    )
)
def test_names_in_any_script_come_back(tmp_path_factory, name):
    folder = tmp_path_factory.mktemp("object")
    file = ObjectFile(
        folder,
        SECONDARY_CAPTURE_IMAGE,
        grey(1, 2),
        identity=examination(
            patient=PatientIdentity(name=f"{name}^Given", comments=f"{name}\r\nsecond line")
        ),
    )
    file.writer.write_frame(b"12")
    file.finish()
    read = pydicom.dcmread(file.path)
    assert str(read.PatientName) == f"{name}^Given"
    assert read.PatientComments == f"{name}\r\nsecond line"


@given(st.floats(-1e300, 1e300))
def test_decimal_strings_fit_and_are_as_near_as_they_can_be(value):
    text = decimal_string(value)
    assert len(text) <= 16
    assert float(text) == pytest.approx(value, rel=1e-8)


def test_moments_are_local_time_with_its_offset():
    moment = Moment.at(1_750_000_000.5)
    assert len(moment.date) == 8 and moment.time.endswith(".500000")
    assert len(moment.offset) == 5 and moment.offset[0] in "+-"


def test_pixel_shape_and_laterality_are_written_where_they_are_known(tmp_path):
    pixels = PixelDescription(4, 4, "MONOCHROME2", 1, 8, 8, aspect_ratio=(59, 54))
    identity = examination()
    series = SeriesIdentity("1.2.3", 1, laterality="", body_part_examined="BREAST")
    file = ObjectFile(
        tmp_path,
        ULTRASOUND_IMAGE,
        pixels,
        identity=examination(series=series, patient=identity.patient),
        burned_in_annotation=False,
    )
    file.writer.write_frame(bytes(16))
    file.finish()
    read = pydicom.dcmread(file.path)
    assert list(read.PixelAspectRatio) == [59, 54]
    assert "Laterality" in read and not read.Laterality
    assert read.BurnedInAnnotation == "NO"
