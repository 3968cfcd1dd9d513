"""Presentation states: valid, and DCMTK shows the images as they say."""

import dataclasses
import os
import struct
import subprocess

import numpy
import pydicom
import pytest

from agent.errors import LocalError
from agent.objects.annotations import Annotation, GraphicLayer, GraphicObject, TextObject
from agent.objects.color_profile import srgb_profile
from agent.objects.description import InstanceDescription, PatientIdentity, StudyIdentity
from agent.objects.iods import SECONDARY_CAPTURE_IMAGE
from agent.objects.pixels import grey
from agent.objects.presentation_state_iods import (
    BLENDING_SOFTCOPY_PRESENTATION_STATE,
    COLOR_SOFTCOPY_PRESENTATION_STATE,
    GRAYSCALE_SOFTCOPY_PRESENTATION_STATE,
    PSEUDO_COLOR_SOFTCOPY_PRESENTATION_STATE,
)
from agent.objects.presentation_states import (
    Blended,
    DisplayedArea,
    Palette,
    PresentationState,
    Window,
    write_presentation_state,
)
from agent.objects.references import InstanceReference
from agent.objects.shutter import Shutter
from tests.objects.examples import MOMENT, ObjectFile, device, examination, file_meta_of
from tests.objects.judging import by_dcmtk, dump, errors_of, read_pnm
from tests.peers.programs import program

IMAGE = InstanceReference(SECONDARY_CAPTURE_IMAGE, "1.2.3.1", "1.2.3")
OTHER = InstanceReference(SECONDARY_CAPTURE_IMAGE, "1.2.4.1", "1.2.4", "1.2.99")
WHOLE = (DisplayedArea((1, 1), (64, 48)),)
RAMP = tuple(value * 257 for value in range(256))
PALETTE = Palette(RAMP, RAMP[::-1], RAMP)
ANNOTATIONS = (
    Annotation(
        "NOTES",
        texts=(
            TextObject("Größe", anchor=(10.0, 10.0)),
            TextObject("In a box", box=(0.1, 0.1, 0.5, 0.2), units="DISPLAY"),
        ),
        graphics=(
            GraphicObject("POLYLINE", (1.0, 1.0, 20.0, 20.0)),
            GraphicObject("CIRCLE", (30.0, 20.0, 35.0, 20.0), filled=True),
            GraphicObject("POINT", (3.0, 4.0)),
        ),
        images=(IMAGE,),
    ),
)
GREY = PresentationState(
    "BRAIN",
    WHOLE,
    (IMAGE,),
    description="A window",
    creator="Weiß^Anna",
    windows=(Window(128.0, 64.0, "narrow"),),
    rescale=(0.0, 1.0, "US"),
    annotations=ANNOTATIONS,
    rotation=90,
    flipped=True,
    shutter=Shutter((5, 60, 3, 40), (20, 30, 15)),
)
COLOUR = PresentationState(
    "COLOUR",
    WHOLE,
    (IMAGE, OTHER),
    annotations=ANNOTATIONS,
    shutter=Shutter(circle=(20, 30, 15), grey=32768),
)
PSEUDO = dataclasses.replace(
    GREY, label="HOT", palette=PALETTE, layers=(GraphicLayer("NOTES", 3, "Notes"),)
)
BLENDING = PresentationState(
    "FUSION",
    WHOLE,
    palette=PALETTE,
    underlying=Blended((IMAGE,), (Window(100.0, 200.0),)),
    superimposed=Blended((OTHER,)),
    relative_opacity=0.25,
)
CASES = [
    (GRAYSCALE_SOFTCOPY_PRESENTATION_STATE, GREY),
    (GRAYSCALE_SOFTCOPY_PRESENTATION_STATE, PresentationState("PLAIN", WHOLE, (IMAGE,))),
    (COLOR_SOFTCOPY_PRESENTATION_STATE, COLOUR),
    (PSEUDO_COLOR_SOFTCOPY_PRESENTATION_STATE, PSEUDO),
    (BLENDING_SOFTCOPY_PRESENTATION_STATE, BLENDING),
]


def written(folder, sop_class_uid, state, identity=None):
    path = folder / "state.dcm"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        write_presentation_state(
            descriptor,
            sop_class_uid,
            state,
            identity or examination(),
            device(),
            InstanceDescription("1.2.3.4.5", 1, MOMENT, MOMENT),
            file_meta=file_meta_of(sop_class_uid, "1.2.3.4.5"),
        )
    finally:
        os.close(descriptor)
    return path


@pytest.mark.peer
@pytest.mark.parametrize(("sop_class_uid", "state"), CASES, ids=lambda each: str(each)[:40])
def test_presentation_states_are_valid(tmp_path, sop_class_uid, state):
    path = written(tmp_path, sop_class_uid, state)
    assert errors_of(path) == []
    read = pydicom.dcmread(path)
    assert (read.Modality, read.ContentLabel) == ("PR", state.label)
    assert read.DisplayedAreaSelectionSequence[0].DisplayedAreaBottomRightHandCorner == [64, 48]
    assert "DisplayedAreaSelectionSequence" in dump(path)
    assert ("ICCProfile" in read) is (sop_class_uid != GRAYSCALE_SOFTCOPY_PRESENTATION_STATE)


@pytest.mark.peer
def test_dcmtk_shows_the_image_as_the_state_says(tmp_path):
    image = ObjectFile(tmp_path, SECONDARY_CAPTURE_IMAGE, grey(48, 64))
    values = numpy.arange(48 * 64).reshape(48, 64).astype("u1")
    image.writer.write_frame(values.tobytes())
    image.finish()
    shown = pydicom.dcmread(image.path)
    reference = InstanceReference(
        SECONDARY_CAPTURE_IMAGE, image.sop_instance_uid, shown.SeriesInstanceUID
    )
    plain = PresentationState("P", WHOLE, (reference,), windows=(Window(128.0, 64.0),))
    inverse = dataclasses.replace(plain, shape="INVERSE")
    turned = dataclasses.replace(plain, rotation=90, flipped=True)
    target = tmp_path / "out.pgm"
    # PS3.3 C.11.2.1.2.1, the linear function.
    window = numpy.clip((values - 127.5) / 63 + 0.5, 0, 1) * 255
    for state, meant in (
        (plain, window),
        (inverse, 255 - window),
        (turned, window),
    ):
        path = written(tmp_path, GRAYSCALE_SOFTCOPY_PRESENTATION_STATE, state)
        by_dcmtk("dcmp2pgm", "-q", "-p", path, image.path, target)
        result = read_pnm(target)
        if state is turned:
            assert result.shape == (64, 48)
            # Rotated clockwise, then flipped left to right.
            meant = numpy.fliplr(numpy.rot90(meant, -1))
        assert numpy.abs(result.astype(int) - meant).max() <= 1


def test_a_shutter_says_its_edges_and_what_is_shown_instead(tmp_path):
    read = pydicom.dcmread(written(tmp_path, GRAYSCALE_SOFTCOPY_PRESENTATION_STATE, GREY))
    assert list(read.ShutterShape) == ["RECTANGULAR", "CIRCULAR"]
    assert (read.ShutterLeftVerticalEdge, read.ShutterRightVerticalEdge) == (5, 60)
    assert (read.ShutterUpperHorizontalEdge, read.ShutterLowerHorizontalEdge) == (3, 40)
    assert (list(read.CenterOfCircularShutter), read.RadiusOfCircularShutter) == ([20, 30], 15)
    assert read.ShutterPresentationValue == 0
    assert "ShutterPresentationColorCIELabValue" not in read
    read = pydicom.dcmread(written(tmp_path, COLOR_SOFTCOPY_PRESENTATION_STATE, COLOUR))
    assert list(read.ShutterPresentationColorCIELabValue) == [32768, 0x8080, 0x8080]


@pytest.mark.peer
def test_the_checker_of_dcmtk_passes_a_grayscale_state(tmp_path):
    """It knows the grayscale kind, and ASCII: so the text is in ASCII here."""
    (annotation,) = ANNOTATIONS
    box = dataclasses.replace(annotation, texts=annotation.texts[1:])
    state = dataclasses.replace(GREY, creator="Doe^Jane", annotations=(box,))
    identity = examination(patient=PatientIdentity("Doe^John", "1"), study=StudyIdentity("1.2.3"))
    path = written(tmp_path, GRAYSCALE_SOFTCOPY_PRESENTATION_STATE, state, identity)
    ended = subprocess.run(
        [program("dcmtk", "dcmpschk"), path], capture_output=True, text=True, check=False
    )
    assert "Test passed" in ended.stderr, ended.stderr


def test_layers_in_use_are_described_once(tmp_path):
    read = pydicom.dcmread(written(tmp_path, GRAYSCALE_SOFTCOPY_PRESENTATION_STATE, GREY))
    assert [layer.GraphicLayer for layer in read.GraphicLayerSequence] == ["NOTES"]
    read = pydicom.dcmread(written(tmp_path, PSEUDO_COLOR_SOFTCOPY_PRESENTATION_STATE, PSEUDO))
    (layer,) = read.GraphicLayerSequence
    assert (layer.GraphicLayerOrder, layer.GraphicLayerDescription) == (3, "Notes")
    (annotation,) = read.GraphicAnnotationSequence
    assert annotation.TextObjectSequence[0].UnformattedTextValue == "Größe"
    assert list(annotation.GraphicObjectSequence[0].GraphicData) == [1, 1, 20, 20]


def test_the_palette_is_what_pydicom_reads(tmp_path):
    read = pydicom.dcmread(written(tmp_path, PSEUDO_COLOR_SOFTCOPY_PRESENTATION_STATE, PSEUDO))
    assert list(read.RedPaletteColorLookupTableDescriptor) == [256, 0, 16]
    green = numpy.frombuffer(read.GreenPaletteColorLookupTableData, "<u2")
    assert tuple(green) == RAMP[::-1]


def test_blended_images_may_be_of_two_studies(tmp_path):
    read = pydicom.dcmread(written(tmp_path, BLENDING_SOFTCOPY_PRESENTATION_STATE, BLENDING))
    underlying, superimposed = read.BlendingSequence
    assert underlying.StudyInstanceUID == read.StudyInstanceUID
    assert superimposed.StudyInstanceUID == "1.2.99" and read.RelativeOpacity == 0.25


def test_the_profile_is_one_of_srgb():
    """ICC.1:2001: its length, class, colour spaces and tags; white times primaries is D50."""
    profile = srgb_profile()
    length, _, version, kind, space, connection = struct.unpack(">I4sI4s4s4s", profile[:24])
    assert length == len(profile) and len(profile) % 2 == 0 and version >> 24 == 2
    assert (kind, space, connection, profile[36:40]) == (b"scnr", b"RGB ", b"XYZ ", b"acsp")
    (count,) = struct.unpack(">I", profile[128:132])
    tags = {}
    for place in range(count):
        name, offset, size = struct.unpack(">4sII", profile[132 + 12 * place : 144 + 12 * place])
        assert offset % 4 == 0 and offset + size <= length
        tags[name] = profile[offset : offset + size]
    white = struct.unpack(">3i", tags[b"wtpt"][8:])
    primaries = [struct.unpack(">3i", tags[name][8:]) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
    summed = numpy.sum(primaries, axis=0)
    assert numpy.abs(summed - white).max() < 65536 * 0.001
    curve = struct.unpack(">256H", tags[b"rTRC"][12:])
    assert curve[0] == 0 and curve[255] == 65535 and abs(curve[128] / 65535 - 0.2159) < 0.001


@pytest.mark.parametrize(
    ("sop_class_uid", "state"),
    [
        (COLOR_SOFTCOPY_PRESENTATION_STATE, GREY),
        (BLENDING_SOFTCOPY_PRESENTATION_STATE, PSEUDO),
        (BLENDING_SOFTCOPY_PRESENTATION_STATE, dataclasses.replace(BLENDING, underlying=None)),
        (BLENDING_SOFTCOPY_PRESENTATION_STATE, dataclasses.replace(BLENDING, palette=None)),
        (PSEUDO_COLOR_SOFTCOPY_PRESENTATION_STATE, dataclasses.replace(PSEUDO, palette=None)),
        (GRAYSCALE_SOFTCOPY_PRESENTATION_STATE, dataclasses.replace(GREY, images=())),
        (GRAYSCALE_SOFTCOPY_PRESENTATION_STATE, dataclasses.replace(GREY, areas=())),
        (
            GRAYSCALE_SOFTCOPY_PRESENTATION_STATE,
            dataclasses.replace(GREY, images=(dataclasses.replace(IMAGE, series_instance_uid=""),)),
        ),
        (
            GRAYSCALE_SOFTCOPY_PRESENTATION_STATE,
            dataclasses.replace(GREY, annotations=(Annotation("EMPTY"),)),
        ),
        (
            GRAYSCALE_SOFTCOPY_PRESENTATION_STATE,
            dataclasses.replace(GREY, annotations=(Annotation("A", texts=(TextObject("x"),)),)),
        ),
        (
            PSEUDO_COLOR_SOFTCOPY_PRESENTATION_STATE,
            dataclasses.replace(PSEUDO, palette=Palette((1,), (1, 2), (1,))),
        ),
        (GRAYSCALE_SOFTCOPY_PRESENTATION_STATE, dataclasses.replace(GREY, shutter=Shutter())),
        (SECONDARY_CAPTURE_IMAGE, GREY),
    ],
)
def test_states_that_cannot_be_are_refused(tmp_path, sop_class_uid, state):
    with pytest.raises(LocalError):
        written(tmp_path, sop_class_uid, state)
    assert (tmp_path / "state.dcm").stat().st_size == 0
