"""Objects of every family of one examination: they agree on patient and study, in any encoding."""

import os

import pydicom
import pytest

from agent.dataset.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from agent.dataset.uid import new_uid
from agent.objects.content_tree import Container, Image, Text
from agent.objects.description import InstanceDescription, SeriesIdentity
from agent.objects.document_iods import ENCAPSULATED_PDF
from agent.objects.encapsulated_documents import DocumentDescription, encapsulate
from agent.objects.pixels import grey
from agent.objects.presentation_state_iods import GRAYSCALE_SOFTCOPY_PRESENTATION_STATE
from agent.objects.presentation_states import (
    DisplayedArea,
    PresentationState,
    write_presentation_state,
)
from agent.objects.references import Code, InstanceReference
from agent.objects.relationships import BASIC_TEXT_SR, KEY_OBJECT_SELECTION
from agent.objects.reports import key_object_selection, write_report
from agent.objects.ultrasound import ULTRASOUND_IMAGE
from agent.objects.waveform_iods import GENERAL_ECG
from agent.objects.waveforms import begin_waveform
from tests.objects.examples import MOMENT, ObjectFile, device, examination, file_meta_of
from tests.objects.test_waveforms import ECG
from tests.peers.dicom3tools import dcentvfy

CONCEPT = Code("121070", "DCM", "Findings")
SYNTAXES = [EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN]


class Study:
    """Writes objects of one study into a folder, each into a series of its own."""

    def __init__(self, folder, syntax):
        self.folder, self.syntax = folder, syntax
        self.base = examination()
        self.paths = []

    def series(self):
        return examination(
            patient=self.base.patient,
            study=self.base.study,
            series=SeriesIdentity(new_uid(), len(self.paths) + 1),
        )

    def write(self, writing, sop_class_uid, *content):
        path, uid = self.folder / f"{len(self.paths)}.dcm", new_uid()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        writing(
            descriptor,
            sop_class_uid,
            *content,
            self.series(),
            device(),
            InstanceDescription(uid, 1, MOMENT, MOMENT),
            file_meta=file_meta_of(sop_class_uid, uid, self.syntax),
            transfer_syntax_uid=self.syntax,
        )
        os.close(descriptor)
        self.paths.append(path)

    def image(self):
        file = ObjectFile(
            self.folder,
            ULTRASOUND_IMAGE,
            grey(4, 4),
            identity=self.series(),
            transfer_syntax_uid=self.syntax,
        )
        file.writer.write_frame(bytes(range(16)))
        file.finish()
        self.paths.append(file.path)
        read = pydicom.dcmread(file.path)
        return InstanceReference(ULTRASOUND_IMAGE, read.SOPInstanceUID, read.SeriesInstanceUID)


def write_ecg(descriptor, sop_class_uid, *rest, **options):
    writer = begin_waveform(descriptor, sop_class_uid, *rest, **options)
    writer.begin_group(ECG)
    writer.write(bytes(24 * 10))
    writer.end_group()
    writer.finish()


def write_pdf(descriptor, sop_class_uid, identity, made_by, instance, **options):
    source = os.memfd_create("document")
    os.write(source, b"%PDF-1.4 and nothing else")
    encapsulate(
        descriptor,
        sop_class_uid,
        source,
        identity,
        made_by,
        instance,
        DocumentDescription("Title"),
        **options,
    )
    os.close(source)


@pytest.mark.peer
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_objects_of_one_study_agree(tmp_path, syntax):
    study = Study(tmp_path, syntax)
    image = study.image()
    study.write(write_ecg, GENERAL_ECG)
    study.write(write_pdf, ENCAPSULATED_PDF)
    text = Text(concept=CONCEPT, text="Größe")
    report = Container(concept=CONCEPT, children=(text, Image(reference=image)))
    study.write(write_report, BASIC_TEXT_SR, report)
    selection = key_object_selection(Code("113000", "DCM", "Of Interest"), [Image(reference=image)])
    study.write(write_report, KEY_OBJECT_SELECTION, selection)
    state = PresentationState("P", (DisplayedArea((1, 1), (4, 4)),), (image,))
    study.write(write_presentation_state, GRAYSCALE_SOFTCOPY_PRESENTATION_STATE, state)
    assert len(study.paths) == 6 and dcentvfy(*study.paths) == ()
    for path in study.paths:
        read = pydicom.dcmread(path)
        assert read.file_meta.TransferSyntaxUID == syntax
        assert (read.PatientID, read.StudyInstanceUID) == ("P-1", study.base.study.instance_uid)
    read = pydicom.dcmread(study.paths[3])
    assert read.ContentSequence[0].TextValue == "Größe"
