"""Every kind of image: judged by dciodvfy, read by pydicom and DCMTK, pixels as they were given."""

import dataclasses

import numpy
import pydicom
import pytest
from pydicom.sr.codedict import codes

from agent.dataset.transfer_syntaxes import JPEG_BASELINE
from agent.errors import LocalError
from agent.objects import cross_sectional, ophthalmic, projection, visible_light
from agent.objects.anatomy import REGIONS
from agent.objects.description import PatientIdentity, SeriesIdentity
from agent.objects.geometry import Geometry, UltrasoundRegion
from agent.objects.given import elements_of
from agent.objects.iods import (
    IODS,
    MULTI_FRAME_SINGLE_BIT_SECONDARY_CAPTURE_IMAGE,
    ULTRASOUND_IMAGE,
    ULTRASOUND_MULTI_FRAME_IMAGE,
)
from agent.objects.pixels import PixelDescription, colour, grey
from agent.objects.references import InstanceReference
from agent.objects.single_bit import SingleBitPacking, pack_bits
from tests.objects.examples import GEOMETRY, ObjectFile, examination
from tests.objects.judging import dump, errors_of, pixels_by_dcmtk

ROWS, COLUMNS = 12, 20
WORD = grey(ROWS, COLUMNS, bits_stored=12)
FULL_WORD = grey(ROWS, COLUMNS, bits_stored=16)
BYTE = grey(ROWS, COLUMNS)
RGB = colour(ROWS, COLUMNS)

CASES = [
    (cross_sectional.CT_IMAGE, WORD, 1, {"geometry": GEOMETRY}),
    (cross_sectional.CT_IMAGE, FULL_WORD, 1, {}),
    (cross_sectional.MR_IMAGE, WORD, 1, {"geometry": GEOMETRY}),
    (cross_sectional.MR_IMAGE, FULL_WORD, 1, {}),
    (cross_sectional.POSITRON_EMISSION_TOMOGRAPHY_IMAGE, FULL_WORD, 1, {"geometry": GEOMETRY}),
    (cross_sectional.POSITRON_EMISSION_TOMOGRAPHY_IMAGE, FULL_WORD, 1, {}),
    (visible_light.VL_ENDOSCOPIC_IMAGE, RGB, 1, {}),
    (visible_light.VL_MICROSCOPIC_IMAGE, RGB, 1, {"pixel_spacing": (0.001, 0.001)}),
    (visible_light.VL_PHOTOGRAPHIC_IMAGE, RGB, 1, {}),
    (visible_light.VL_PHOTOGRAPHIC_IMAGE, BYTE, 1, {}),
    (projection.X_RAY_ANGIOGRAPHIC_IMAGE, BYTE, 1, {"frame_time": None}),
    (projection.X_RAY_ANGIOGRAPHIC_IMAGE, WORD, 3, {}),
    (projection.X_RAY_RADIOFLUOROSCOPIC_IMAGE, BYTE, 1, {"frame_time": None}),
    (projection.X_RAY_RADIOFLUOROSCOPIC_IMAGE, BYTE, 4, {}),
    (projection.COMPUTED_RADIOGRAPHY_IMAGE, WORD, 1, {}),
    (projection.DIGITAL_X_RAY_IMAGE_FOR_PRESENTATION, WORD, 1, {}),
    (projection.DIGITAL_X_RAY_IMAGE_FOR_PROCESSING, WORD, 1, {}),
    (ophthalmic.OPHTHALMIC_PHOTOGRAPHY_8_BIT_IMAGE, RGB, 1, {"frame_time": None}),
    (ophthalmic.OPHTHALMIC_PHOTOGRAPHY_8_BIT_IMAGE, BYTE, 3, {}),
    (ophthalmic.OPHTHALMIC_PHOTOGRAPHY_16_BIT_IMAGE, FULL_WORD, 1, {"frame_time": None}),
]


def frames_of(pixels, count):
    """Noise that fits the bits; as arrays and as the bytes of native frames."""
    random = numpy.random.default_rng(17)
    shape = (count, pixels.rows, pixels.columns)
    if pixels.samples_per_pixel > 1:
        shape = (*shape, pixels.samples_per_pixel)
    kind = "u1" if pixels.bits_allocated == 8 else "<u2"
    return random.integers(0, 2**pixels.bits_stored, shape).astype(kind)


def made(folder, sop_class_uid, pixels, count, options):
    """An object of noise, and the noise."""
    if sop_class_uid.startswith("1.2.840.10008.5.1.4.1.1.1.1"):
        options = {"patient_orientation": ("L", "F"), "pixel_spacing": (0.15, 0.15), **options}
    series = SeriesIdentity(
        "1.2.826.0.1.3680043.10.999.5", 1, laterality="R", body_part_examined="HAND"
    )
    identity = examination(series=series)
    file = ObjectFile(folder, sop_class_uid, pixels, identity=identity, **options)
    frames = frames_of(pixels, count)
    for frame in frames:
        file.writer.write_frame(frame.tobytes())
    file.finish(count)
    return file.path, frames


@pytest.mark.peer
@pytest.mark.parametrize(("sop_class_uid", "pixels", "count", "options"), CASES)
def test_each_kind_of_image_is_valid_and_holds_its_pixels(
    tmp_path, sop_class_uid, pixels, count, options
):
    path, frames = made(tmp_path, sop_class_uid, pixels, count, options)
    assert errors_of(path) == []
    read = pydicom.dcmread(path)
    assert numpy.array_equal(read.pixel_array.reshape(frames.shape), frames)
    assert read.Modality == IODS[sop_class_uid].modality
    assert "PixelData" in dump(path)
    if pixels.bits_stored == 8:
        assert numpy.array_equal(pixels_by_dcmtk(path), frames[0])


@pytest.mark.peer
def test_a_capture_of_unknown_geometry_says_that_its_lengths_mean_nothing(tmp_path):
    path, _ = made(tmp_path, cross_sectional.CT_IMAGE, WORD, 1, {})
    read = pydicom.dcmread(path)
    assert list(read.ImageType) == ["DERIVED", "PRIMARY", "AXIAL"]
    assert "not known" in read.DerivationDescription
    other, _ = made(tmp_path, cross_sectional.CT_IMAGE, WORD, 1, {})
    assert pydicom.dcmread(other).FrameOfReferenceUID != read.FrameOfReferenceUID
    assert read.SliceThickness is None


def test_geometry_is_written_as_given_and_directions_are_checked(tmp_path):
    path, _ = made(tmp_path, cross_sectional.MR_IMAGE, WORD, 1, {"geometry": GEOMETRY})
    read = pydicom.dcmread(path)
    assert list(read.ImagePositionPatient) == [-10, 5.5, 20]
    assert list(read.PixelSpacing) == [0.5, 0.5] and read.SliceThickness == 2.5
    assert read.FrameOfReferenceUID == GEOMETRY.frame_of_reference_uid
    with pytest.raises(LocalError, match="orthogonal"):
        Geometry("1.2", (1, 1), (1, 0, 0, 1, 0, 0), (0, 0, 0))


@pytest.mark.peer
@pytest.mark.parametrize("sop_class_uid", [ULTRASOUND_IMAGE, ULTRASOUND_MULTI_FRAME_IMAGE])
def test_ultrasound_images_have_calibrated_regions(tmp_path, sop_class_uid):
    regions = (
        UltrasoundRegion((0, 0, 9, 11), (3, 3), (0.02, 0.02), transducer_frequency=5000),
        UltrasoundRegion(
            (10, 0, 19, 11),
            (4, 7),
            (0.01, 1.5),
            spatial_format=3,
            data_type=3,
            reference_pixel=(0, 6),
            reference_value=(0.0, 0.0),
        ),
    )
    path, _ = made(tmp_path, sop_class_uid, BYTE, 1, {"ultrasound_regions": regions})
    assert errors_of(path) == []
    tissue, doppler = pydicom.dcmread(path).SequenceOfUltrasoundRegions
    assert (tissue.RegionLocationMaxX1, tissue.PhysicalDeltaX) == (9, 0.02)
    assert (tissue.PhysicalUnitsXDirection, tissue.TransducerFrequency) == (3, 5000)
    assert (doppler.RegionSpatialFormat, doppler.ReferencePixelY0) == (3, 6)


def test_a_region_outside_the_image_is_refused(tmp_path):
    region = UltrasoundRegion((0, 0, COLUMNS, 11), (3, 3), (0.02, 0.02))
    with pytest.raises(LocalError, match="does not lie in the image"):
        made(tmp_path, ULTRASOUND_IMAGE, BYTE, 1, {"ultrasound_regions": (region,)})


@pytest.mark.peer
@pytest.mark.parametrize(("rows", "columns"), [(8, 16), (5, 7), (3, 3), (1, 1)])
def test_pixels_of_one_bit_are_packed_without_gaps_between_frames(tmp_path, rows, columns):
    random = numpy.random.default_rng(5)
    frames = random.integers(0, 2, (5, rows, columns)).astype("u1")
    pixels = PixelDescription(rows, columns, "MONOCHROME2", 1, 1, 1)
    file = ObjectFile(tmp_path, MULTI_FRAME_SINGLE_BIT_SECONDARY_CAPTURE_IMAGE, pixels)
    for frame in frames:
        packed = pack_bits(frame.tobytes())
        file.writer.write_frame([packed[:1], packed[1:]])
    file.finish(5)
    assert errors_of(file.path) == []
    read = pydicom.dcmread(file.path)
    stream = numpy.unpackbits(
        numpy.frombuffer(read.PixelData, dtype=numpy.uint8), bitorder="little"
    )
    assert numpy.array_equal(stream[: frames.size].reshape(frames.shape), frames)
    assert not stream[frames.size :].any() and len(read.PixelData) % 2 == 0


def test_a_short_buffer_is_refused_before_it_is_packed_into_bits():
    with pytest.raises(LocalError, match="shorter"):
        list(SingleBitPacking(9, 7).strips(memoryview(bytes(62)), 7))


def test_derived_images_name_their_sources(tmp_path):
    source = InstanceReference(ULTRASOUND_IMAGE, "1.2.3.4", frames=(1, 2))
    options = {
        "source_images": (source,),
        "derivation_description": "Brightened",
        "image_type": ("DERIVED", "PRIMARY"),
    }
    path, _ = made(tmp_path, ULTRASOUND_IMAGE, BYTE, 1, options)
    read = pydicom.dcmread(path)
    assert read.DerivationDescription == "Brightened"
    assert read.SourceImageSequence[0].ReferencedSOPInstanceUID == "1.2.3.4"
    assert list(read.SourceImageSequence[0].ReferencedFrameNumber) == [1, 2]


@pytest.mark.peer
@pytest.mark.parametrize(
    "sop_class_uid",
    [
        visible_light.VL_ENDOSCOPIC_IMAGE,
        ULTRASOUND_IMAGE,
        ophthalmic.OPHTHALMIC_PHOTOGRAPHY_8_BIT_IMAGE,
    ],
)
def test_jpeg_frames_are_kept_as_they_are_and_said_to_be_lossy(tmp_path, sop_class_uid):
    frame = b"\xff\xd8" + bytes(35) + b"\xff\xd9"
    side = "R" if IODS[sop_class_uid].modality == "OP" else None
    series = SeriesIdentity("1.2.826.0.1.3680043.10.999.5", 1, laterality=side)
    file = ObjectFile(
        tmp_path,
        sop_class_uid,
        colour(ROWS, COLUMNS, "YBR_FULL_422"),
        identity=examination(series=series),
        transfer_syntax_uid=JPEG_BASELINE,
        frame_time=None,
    )
    file.writer.write_frame(frame)
    file.finish(1)
    assert errors_of(file.path) == []
    read = pydicom.dcmread(file.path)
    assert frame in read.PixelData
    assert (read.LossyImageCompression, read.LossyImageCompressionMethod) == ("01", "ISO_10918_1")
    assert read.LossyImageCompressionRatio == round(ROWS * COLUMNS * 2 / len(frame), 2)


def test_what_the_template_gives_wins_over_the_defaults_of_the_tables(tmp_path):
    identity = dataclasses.replace(
        examination(patient=PatientIdentity(name="A^B")),
        additional=elements_of(
            {
                "KVP": 120,
                "RescaleIntercept": -1024,
                "RescaleType": "HU",
                "AcquisitionNumber": 3,
                "PatientPosition": "HFS",
                "AnatomicRegionSequence": {
                    "CodeValue": "69536005",
                    "CodingSchemeDesignator": "SCT",
                    "CodeMeaning": "Head",
                },
            }
        ),
    )
    file = ObjectFile(
        tmp_path, cross_sectional.CT_IMAGE, WORD, identity=identity, geometry=GEOMETRY
    )
    file.writer.write_frame(bytes(WORD.frame_length))
    file.finish()
    read = pydicom.dcmread(file.path)
    assert (read.KVP, read.RescaleIntercept, read.RescaleType) == (120, -1024, "HU")
    assert read.AnatomicRegionSequence[0].CodeMeaning == "Head"
    assert errors_of(file.path) == []


@pytest.mark.parametrize(
    ("sop_class_uid", "pixels"),
    [
        (cross_sectional.CT_IMAGE, BYTE),
        (cross_sectional.MR_IMAGE, RGB),
        (visible_light.VL_ENDOSCOPIC_IMAGE, WORD),
        (projection.X_RAY_ANGIOGRAPHIC_IMAGE, RGB),
        (projection.DIGITAL_X_RAY_IMAGE_FOR_PRESENTATION, RGB),
        (ophthalmic.OPHTHALMIC_PHOTOGRAPHY_8_BIT_IMAGE, WORD),
        (ophthalmic.OPHTHALMIC_PHOTOGRAPHY_16_BIT_IMAGE, BYTE),
        (visible_light.VIDEO_ENDOSCOPIC_IMAGE, colour(ROWS, COLUMNS, "YBR_PARTIAL_420")),
    ],
)
def test_pixels_that_the_standard_does_not_allow_are_refused(tmp_path, sop_class_uid, pixels):
    with pytest.raises(LocalError, match="not allowed"):
        ObjectFile(tmp_path, sop_class_uid, pixels)


def test_digital_x_rays_need_an_orientation_and_a_spacing(tmp_path):
    for options in ({"patient_orientation": ("L", "F")}, {"pixel_spacing": (1.0, 1.0)}):
        with pytest.raises(LocalError, match="must have a value"):
            ObjectFile(tmp_path, projection.DIGITAL_X_RAY_IMAGE_FOR_PROCESSING, WORD, **options)


def test_a_keyword_that_there_is_not_and_a_value_that_does_not_fit_are_refused():
    for values in ({"NoSuchKeyword": 1}, {"Rows": "many"}, {"KVP": {}}, {"SourceImageSequence": 1}):
        with pytest.raises(LocalError):
            elements_of(values)


def test_the_body_part_becomes_a_coded_region(tmp_path):
    path, _ = made(tmp_path, visible_light.VL_PHOTOGRAPHIC_IMAGE, RGB, 1, {})
    (region,) = pydicom.dcmread(path).AnatomicRegionSequence
    assert (region.CodeValue, region.CodingSchemeDesignator) == ("85562004", "SCT")


def test_each_coded_region_is_a_concept_that_pydicom_knows_by_that_name():
    known = {}
    for code in codes.SCT.concepts.values():
        known.setdefault(code.value, []).append(code.meaning.casefold())
    assert len(REGIONS) > 40
    for region in REGIONS.values():
        assert any(region.meaning.casefold() in name for name in known[region.value])
