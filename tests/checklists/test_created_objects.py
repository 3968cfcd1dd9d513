"""Objects that are created, as iConnect Access and MxView describe them."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy
import pydicom
import pytest
from pydicom import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from agent.objects.annotations import Annotation, GraphicObject, TextObject
from agent.objects.cross_sectional import (
    CT_IMAGE,
    MR_IMAGE,
    POSITRON_EMISSION_TOMOGRAPHY_IMAGE,
)
from agent.objects.description import (
    InstanceDescription,
    PatientIdentity,
    SeriesIdentity,
    StudyIdentity,
)
from agent.objects.given import elements_of
from agent.objects.icon import icon_elements
from agent.objects.iods import SECONDARY_CAPTURE_IMAGE
from agent.objects.overlay import Overlay, burn_in
from agent.objects.pixels import grey
from agent.objects.presentation_state_iods import GRAYSCALE_SOFTCOPY_PRESENTATION_STATE
from agent.objects.presentation_states import PresentationState, Window, write_presentation_state
from agent.objects.references import InstanceReference
from agent.objects.shown_images import ShownImage, area_of, states_of
from agent.objects.waveform_iods import GENERAL_ECG
from tests.cli_of import gantry
from tests.node.running import NodeProcess, peer_table
from tests.objects.examples import (
    GEOMETRY,
    MOMENT,
    ObjectFile,
    device,
    examination,
    file_meta_of,
)
from tests.objects.judging import by_dcmtk, errors_of, read_pnm
from tests.objects.test_waveforms import ECG, WaveformFile
from tests.peers.dcmtk import DcmtkStoreScp
from tests.peers.programs import program

ROWS, COLUMNS = 48, 64
STUDY = "1.2.826.0.1.3680043.9.9.77"
NOTES = Annotation(
    "NOTES",
    texts=(TextObject("here", anchor=(10.0, 10.0)),),
    graphics=(GraphicObject("POLYLINE", (1.0, 1.0, 20.0, 20.0, 30.0, 5.0)),),
)
ICONNECT_STATE = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PatientAge", "PatientWeight"),
    *("AdditionalPatientHistory", "StudyDate", "StudyTime", "AccessionNumber"),
    *("ReferringPhysicianName", "StudyDescription", "StudyInstanceUID", "StudyID", "SeriesDate"),
    *("SeriesTime", "Modality", "SeriesInstanceUID", "SeriesNumber", "Manufacturer"),
    *("InstitutionName", "InstanceNumber", "ContentLabel", "ContentDescription"),
    *("PresentationCreationDate", "PresentationCreationTime", "ContentCreatorName"),
    *("ReferencedSeriesSequence", "DisplayedAreaSelectionSequence", "GraphicAnnotationSequence"),
    *("ImageHorizontalFlip", "ImageRotation", "GraphicLayerSequence", "RescaleIntercept"),
    *("RescaleSlope", "RescaleType", "SoftcopyVOILUTSequence", "PresentationLUTShape"),
    *("SOPClassUID", "SOPInstanceUID", "SpecificCharacterSet"),
)
"""The table of the statement, 6.4."""


def image_of(number: int, series: str = "1.2.3") -> InstanceReference:
    return InstanceReference(SECONDARY_CAPTURE_IMAGE, f"{series}.{number}", series)


def written(folder: Path, state: PresentationState) -> Path:
    path = folder / "state.dcm"
    identity = examination(
        patient=PatientIdentity("Doe^Jane", "P-1", None, "19700131", "F", None, "055Y", 1.7, 70.0),
        study=StudyIdentity(STUDY, "20250102", "130000", "S1", "A1", "Weiss^Anna", "Head"),
        series=SeriesIdentity("1.2.826.0.1.3680043.9.9.79", 8, None, "20250102", "131415"),
        additional=elements_of({"AdditionalPatientHistory": "none"}),
    )
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        write_presentation_state(
            descriptor,
            GRAYSCALE_SOFTCOPY_PRESENTATION_STATE,
            state,
            identity,
            device(),
            InstanceDescription("1.2.3.4.5", 1, MOMENT, MOMENT),
            file_meta=file_meta_of(GRAYSCALE_SOFTCOPY_PRESENTATION_STATE, "1.2.3.4.5"),
        )
    finally:
        os.close(descriptor)
    return path


def shown(image: InstanceReference, **how: Any) -> ShownImage:
    return ShownImage(image, ROWS, COLUMNS, Window(128.0, 64.0), **how)


def test_ic_47_a_state_has_the_attributes_of_the_table_and_passes_both_checkers(
    tmp_path: Path,
) -> None:
    (state,) = states_of(
        "GSPS",
        [shown(image_of(1), rotation=90, annotations=(NOTES,))],
        description="WebAccess GSPS",
        creator="Doe^John",
        rescale=(0.0, 1.0, "US"),
    )
    path = written(tmp_path, state)
    read = pydicom.dcmread(path)
    assert [keyword for keyword in ICONNECT_STATE if keyword not in read] == []
    (area,) = read.DisplayedAreaSelectionSequence
    assert "PresentationPixelMagnificationRatio" not in area
    (annotation,) = read.GraphicAnnotationSequence
    (text,), (line,) = annotation.TextObjectSequence, annotation.GraphicObjectSequence
    assert (text.AnchorPointAnnotationUnits, text.AnchorPointVisibility) == ("PIXEL", "N")
    assert (line.GraphicAnnotationUnits, line.NumberOfGraphicPoints) == ("PIXEL", 3)
    assert errors_of(path) == []
    judged = subprocess.run(
        [program("dcmtk", "dcmpschk"), path], capture_output=True, text=True, check=False
    )
    assert "Test passed" in judged.stderr, judged.stderr


def test_ic_48_as_few_states_as_rotation_and_flip_allow_one_series_each(tmp_path: Path) -> None:
    same = [shown(image_of(number), annotations=(NOTES,)) for number in range(1, 4)]
    turned = [shown(image_of(4), rotation=180), shown(image_of(5), rotation=180)]
    flipped = [shown(image_of(6), rotation=180, flipped=True)]
    other = [shown(image_of(1, "1.2.4"))]
    mixed = [same[0], turned[0], other[0], same[1], flipped[0], turned[1], same[2]]
    states = states_of("GSPS", mixed)
    assert [len(state.images) for state in states] == [3, 2, 1, 1]
    for state in states:
        path = written(tmp_path, state)
        assert errors_of(path) == []
        read = pydicom.dcmread(path)
        (series,) = read.ReferencedSeriesSequence
        assert [each.ReferencedSOPInstanceUID for each in series.ReferencedImageSequence] == [
            image.sop_instance_uid for image in state.images
        ]
    assert len(states[0].annotations) == 3
    assert len(states_of("GSPS", same)) == 1


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_ic_51_the_area_is_the_whole_image_however_it_is_turned(
    tmp_path: Path, rotation: int, flipped: bool
) -> None:
    source = ObjectFile(tmp_path, SECONDARY_CAPTURE_IMAGE, grey(ROWS, COLUMNS))
    values = numpy.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS).astype("u1")
    source.writer.write_frame(values.tobytes())
    source.finish()
    series = str(pydicom.dcmread(source.path).SeriesInstanceUID)
    image = InstanceReference(SECONDARY_CAPTURE_IMAGE, source.sop_instance_uid, series)
    one = dataclasses.replace(
        shown(image, rotation=rotation, flipped=flipped), window=Window(128.0, 256.0)
    )
    turned = numpy.rot90(values, -rotation // 90)
    turned = numpy.fliplr(turned) if flipped else turned
    area = area_of(one)
    assert area.size_mode == "SCALE TO FIT"
    for corner, seen in ((area.top_left, turned[0, 0]), (area.bottom_right, turned[-1, -1])):
        assert values[corner[1] - 1, corner[0] - 1] == seen
    (state,) = states_of("GSPS", [one])
    target = tmp_path / "shown.pgm"
    by_dcmtk("dcmp2pgm", "-q", "-p", written(tmp_path, state), source.path, target)
    result = read_pnm(target).astype(int)
    assert result.shape == turned.shape
    assert numpy.abs(result - turned).max() <= 1


DERIVED = {
    SECONDARY_CAPTURE_IMAGE: ("DERIVED", "SECONDARY"),
    CT_IMAGE: ("DERIVED", "SECONDARY", "AXIAL"),
    MR_IMAGE: ("DERIVED", "SECONDARY", "OTHER"),
    # C.8.9.4.1.1 allows this kind no other second value.
    POSITRON_EMISSION_TOMOGRAPHY_IMAGE: ("DERIVED", "PRIMARY"),
}


def derived(folder: Path, sop_class: str, source: Dataset) -> Path:
    """An image made of another: as a viewer saves one."""
    pixels = grey(ROWS, COLUMNS, bits_stored=16)
    file = ObjectFile(
        folder,
        sop_class,
        pixels,
        identity=examination(
            study=StudyIdentity(source.StudyInstanceUID, source.StudyDate, source.StudyTime),
            series=SeriesIdentity("1.2.826.0.1.3680043.9.9.78", 9),
        ),
        image_type=DERIVED[sop_class],
        derivation_description="saved by a viewer",
        source_images=(InstanceReference(source.SOPClassUID, source.SOPInstanceUID),),
        geometry=None
        if sop_class == SECONDARY_CAPTURE_IMAGE
        else dataclasses.replace(GEOMETRY, frame_of_reference_uid=source.FrameOfReferenceUID),
    )
    file.writer.write_frame(bytes(pixels.frame_length))
    file.finish()
    return file.path


@pytest.fixture
def source(tmp_path: Path) -> Dataset:
    """A CT image that another device has made."""
    path = pydicom.data.get_testdata_file("CT_small.dcm", read=False)
    return pydicom.dcmread(path, stop_before_pixels=True)


@pytest.mark.parametrize("sop_class", list(DERIVED))
def test_ic_50_a_derived_image_has_uids_of_its_own_and_the_study_and_space_of_its_source(
    tmp_path: Path, source: Dataset, sop_class: str
) -> None:
    path = derived(tmp_path, sop_class, source)
    read = pydicom.dcmread(path)
    assert read.SOPInstanceUID != source.SOPInstanceUID
    assert read.SeriesInstanceUID != source.SeriesInstanceUID
    assert read.StudyInstanceUID == source.StudyInstanceUID
    assert tuple(read.ImageType) == DERIVED[sop_class]
    assert read.SourceImageSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
    if sop_class != SECONDARY_CAPTURE_IMAGE:
        assert read.FrameOfReferenceUID == source.FrameOfReferenceUID
    assert errors_of(path) == []


def test_ic_49_created_objects_are_uncompressed_and_states_go_to_their_own_address(
    tmp_path: Path, source: Dataset, start_peer: Any
) -> None:
    images = start_peer(DcmtkStoreScp(tmp_path / "images"))
    states = start_peer(DcmtkStoreScp(tmp_path / "states"))
    folder = tmp_path / "made"
    folder.mkdir()
    made = [derived(folder, each, source) for each in DERIVED]
    state = written(folder, states_of("GSPS", [shown(image_of(1))])[0])
    tables = peer_table("IMAGES", images.port).partition("[[route]]")[0]
    tables += peer_table("STATES", states.port).partition("[[route]]")[0]
    tables += (
        '[[route]]\nname = "states"\ndeliver = ["STATES"]\nlast = true\n'
        '[route.match]\nmodality = ["PR"]\n'
        '[[route]]\nname = "others"\ndeliver = ["IMAGES"]\n'
    )
    with NodeProcess(tmp_path / "node", tables) as node:
        gantry("send", f"127.0.0.1:{node.port}", folder, "--called", "GANTRY").check()
        stored = images.wait_for_files(len(made))
        (kept,) = states.wait_for_files(1)
        node.wait_until_delivered("STATES")
    assert len(images.received()) == len(made)
    assert pydicom.dcmread(kept).SOPClassUID == pydicom.dcmread(state).SOPClassUID
    uncompressed = {ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian}
    assert {pydicom.dcmread(each).file_meta.TransferSyntaxUID for each in (*stored, kept)} <= (
        uncompressed
    )


MXVIEW_CT = (
    *("PatientName", "PatientID", "OtherPatientIDs", "PatientBirthDate", "PatientSex"),
    *("ReferencedPatientSequence", "StudyDate", "StudyTime", "AccessionNumber"),
    *("ReferringPhysicianName", "StudyDescription", "StudyInstanceUID", "StudyID"),
    *("ReferencedStudySequence", "ProcedureCodeSequence", "PatientWeight", "PatientAge"),
    *("Modality", "OperatorsName", "ProtocolName", "PatientPosition", "SeriesInstanceUID"),
    *("SeriesNumber", "SeriesDescription", "PerformedProcedureStepDescription"),
    *("FrameOfReferenceUID", "PositionReferenceIndicator", "Manufacturer", "InstitutionName"),
    *("StationName", "ManufacturerModelName", "SoftwareVersions", "ImageType"),
    *("AcquisitionDate", "ContentDate", "AcquisitionTime", "ContentTime", "InstanceNumber"),
    *("SliceThickness", "ImagePositionPatient", "ImageOrientationPatient", "SliceLocation"),
    *("PixelSpacing", "Rows", "Columns", "PixelRepresentation", "PixelData", "KVP"),
    *("ScanOptions", "ExposureTime", "XRayTubeCurrent", "ConvolutionKernel"),
    *("AcquisitionNumber", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated"),
    *("BitsStored", "HighBit", "RescaleIntercept", "RescaleSlope", "WindowCenter", "WindowWidth"),
    *("InstanceCreationDate", "InstanceCreationTime", "SpecificCharacterSet", "SOPClassUID"),
    *("SOPInstanceUID", "MedicalAlerts", "AdditionalPatientHistory", "Allergies"),
    *("SpecialNeeds", "PregnancyStatus", "PatientState", "ContrastBolusAgent"),
    *("InstitutionAddress", "InstitutionalDepartmentName", "ImageComments"),
    *("ReferencedImageSequence", "ContrastBolusRoute", "ContrastFlowDuration"),
    *("ContrastFlowRate", "ContrastBolusIngredient", "ContrastBolusVolume", "Laterality"),
    *("ContrastBolusIngredientConcentration", "DataCollectionDiameter", "Exposure"),
    *("ReconstructionDiameter", "GantryDetectorTilt", "TableHeight", "RotationDirection"),
    *("FilterType",),
)
"""Tables 54 to 68 of the statement, but for the private group, whose annex it has not, and Icon
Image Sequence, which is looked at apart."""
MXVIEW_GIVEN: dict[str, object] = {
    "OtherPatientIDs": "P-2",
    "ReferencedPatientSequence": [
        {"ReferencedSOPClassUID": "1.2.840.10008.3.1.2.1.1", "ReferencedSOPInstanceUID": "1.2.5"}
    ],
    "ReferencedStudySequence": [
        {"ReferencedSOPClassUID": "1.2.840.10008.3.1.2.3.1", "ReferencedSOPInstanceUID": "1.2.6"}
    ],
    "ProcedureCodeSequence": [
        {"CodeValue": "CT1", "CodingSchemeDesignator": "99TEST", "CodeMeaning": "Head"}
    ],
    "PatientPosition": "HFS",
    "KVP": 120,
    "ScanOptions": "AXIAL",
    "ExposureTime": 1000,
    "XRayTubeCurrent": 200,
    "ConvolutionKernel": "B",
    "AcquisitionNumber": 1,
    "WindowCenter": 2048,
    "WindowWidth": 4096,
    "MedicalAlerts": "none",
    "Allergies": "none",
    "AdditionalPatientHistory": "none",
    "SpecialNeeds": "none",
    "PregnancyStatus": 4,
    "PatientState": "awake",
    "ContrastBolusAgent": "Iohexol",
    "ContrastBolusRoute": "IV",
    "ContrastBolusVolume": "80",
    "ContrastFlowRate": "3.5",
    "ContrastFlowDuration": "22.8",
    "ContrastBolusIngredient": "IODINE",
    "ContrastBolusIngredientConcentration": "300",
    "InstitutionAddress": "Haifa, MATAM",
    "InstitutionalDepartmentName": "Radiology",
    "ImageComments": "after contrast",
    "ReferencedImageSequence": [
        {
            "ReferencedSOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
            "ReferencedSOPInstanceUID": "1.2.9",
        }
    ],
    "Laterality": "",
    "DataCollectionDiameter": "500",
    "ReconstructionDiameter": "250",
    "GantryDetectorTilt": "0",
    "TableHeight": "120.5",
    "RotationDirection": "CW",
    "Exposure": 200,
    "FilterType": "BODY",
}


@pytest.mark.parametrize("beside", [True, False])
def test_mx_50_a_ct_image_has_its_attributes_and_icon_and_overlay_or_burnt_in_graphics(
    tmp_path: Path, beside: bool
) -> None:
    pixels = grey(ROWS, COLUMNS, bits_stored=12)
    values = (numpy.arange(ROWS * COLUMNS) % 3000).reshape(ROWS, COLUMNS).astype("<u2")
    drawn = numpy.zeros((ROWS, COLUMNS), "u1")
    drawn[10:20, 5:50] = 1
    graphics = Overlay(ROWS, COLUMNS, drawn.tobytes(), description="Größe")
    frame = values.tobytes()
    more = elements_of(MXVIEW_GIVEN)
    if beside:
        more |= icon_elements(frame, pixels, side=32) | graphics.elements()
    else:
        frame = burn_in(frame, pixels, graphics)
    series = SeriesIdentity(
        "1.2.826.0.1.3680043.9.9.80",
        1,
        description="Head",
        protocol_name="Head",
        operators_name="Doe^Jane",
        performed_procedure_step_description="Head",
    )
    patient = PatientIdentity("Müller^Jörg", "P-1", None, "19700131", "M", None, "055Y", 1.7, 70.0)
    file = ObjectFile(
        tmp_path,
        CT_IMAGE,
        pixels,
        identity=dataclasses.replace(examination(series=series, patient=patient), additional=more),
        geometry=dataclasses.replace(
            GEOMETRY, slice_location=20.0, position_reference_indicator="SN"
        ),
        burned_in_annotation=not beside,
    )
    file.writer.write_frame(frame)
    file.finish()
    read = pydicom.dcmread(file.path)
    assert [keyword for keyword in MXVIEW_CT if keyword not in read] == []
    assert errors_of(file.path) == []
    if not beside:
        assert "IconImageSequence" not in read
        assert not [element for element in read if element.tag.group >> 8 == 0x60]
        assert (read.pixel_array == numpy.where(drawn, 4095, values)).all()
        return
    assert (read.pixel_array == values).all()
    assert (read.overlay_array(0x6000) == drawn).all()
    (icon,) = read.IconImageSequence
    assert (icon.Rows, icon.Columns) == (ROWS // 2, COLUMNS // 2)
    shrunk = values.reshape(icon.Rows, 2, icon.Columns, 2).mean(axis=(1, 3))
    shrunk -= shrunk.min()
    shown_icon = numpy.frombuffer(icon.PixelData, "u1").reshape(icon.Rows, icon.Columns)
    assert numpy.abs(shown_icon - shrunk * 255 / shrunk.max()).max() <= 1
    # DCMTK draws the overlay over the image where it is told to.
    target = tmp_path / "shown.pgm"
    by_dcmtk("dcmj2pnm", "+op", "+Ww", "2048", "4096", "+O", "1", "+Omr", file.path, target)
    assert (read_pnm(target)[drawn == 1] == 255).all()


MXVIEW_ECG = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime"),
    *("AccessionNumber", "ReferringPhysicianName", "StudyInstanceUID", "StudyID", "Modality"),
    *("SeriesInstanceUID", "SeriesNumber", "SynchronizationFrameOfReferenceUID"),
    *("SynchronizationTrigger", "AcquisitionTimeSynchronized", "Manufacturer", "InstanceNumber"),
    *("ContentDate", "ContentTime", "AcquisitionDateTime", "WaveformSequence"),
    *("AcquisitionContextSequence", "SOPClassUID", "SOPInstanceUID"),
)
MXVIEW_GROUP = (
    *("WaveformOriginality", "NumberOfWaveformChannels", "NumberOfWaveformSamples"),
    *("SamplingFrequency", "ChannelDefinitionSequence", "WaveformBitsAllocated"),
    *("WaveformSampleInterpretation", "WaveformData"),
)


def test_mx_50_an_ecg_has_its_attributes(tmp_path: Path) -> None:
    given = {
        "SynchronizationFrameOfReferenceUID": "1.2.7",
        "SynchronizationTrigger": "EXTERNAL",
        "AcquisitionTimeSynchronized": "N",
    }
    identity = examination(additional=elements_of(given))
    file = WaveformFile(tmp_path, GENERAL_ECG, identity)
    file.writer.begin_group(ECG)
    file.writer.write(bytes(2 * 12 * 500))
    file.writer.end_group()
    file.finish()
    read = pydicom.dcmread(file.path)
    assert read.Modality == "ECG"
    assert [keyword for keyword in MXVIEW_ECG if keyword not in read] == []
    (group,) = read.WaveformSequence
    assert [keyword for keyword in MXVIEW_GROUP if keyword not in group] == []
    for channel in group.ChannelDefinitionSequence:
        for keyword in ("ChannelSourceSequence", "ChannelSampleSkew", "WaveformBitsStored"):
            assert keyword in channel
    assert errors_of(file.path) == []
