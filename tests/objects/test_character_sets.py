"""Text in the character set that a site prefers, and in UTF-8 where that has no code for it."""

import dataclasses
import os

import pydicom
import pytest

from agent.errors import LocalError
from agent.objects.description import Element, InstanceDescription, PatientIdentity
from agent.objects.iods import ULTRASOUND_IMAGE
from agent.objects.pixels import grey
from agent.objects.request_attributes import description_from_worklist
from agent.objects.waveform_iods import GENERAL_ECG
from agent.objects.waveforms import begin_waveform
from tests.objects.examples import MOMENT, ObjectFile, device, examination, file_meta_of
from tests.objects.judging import errors_of
from tests.objects.test_waveforms import ECG

JAPANESE = "\\ISO 2022 IR 87"


def made(folder, identity):
    file = ObjectFile(folder, ULTRASOUND_IMAGE, grey(2, 2), identity=identity)
    file.writer.write_frame(b"1234")
    file.finish()
    return file.path


@pytest.mark.peer
@pytest.mark.parametrize(
    ("preferred", "name", "written"),
    [
        ("ISO_IR 100", "Müller^Jürgen", "ISO_IR 100"),
        ("ISO_IR 144", "Люкcемbург", "ISO_IR 144"),
        ("ISO_IR 100", "Люксембург", "ISO_IR 192"),
        ("ISO_IR 100", "Doe^Jane", "ISO_IR 100"),
        (JAPANESE, "Yamada^Tarou=山田^太郎", JAPANESE),
        ("ISO_IR 192", "Yamada^Tarou=山田^太郎", "ISO_IR 192"),
    ],
)
def test_text_is_in_the_preferred_character_set_where_that_has_it(
    tmp_path, preferred, name, written
):
    description = name.replace("^", " ").replace("=", " ")
    identity = examination(
        patient=PatientIdentity(name=name),
        additional={0x00400275: Element("SQ", ({0x00321060: Element("LO", description)},))},
        character_set=preferred,
    )
    study = dataclasses.replace(identity.study, referring_physician_name="A^B", description="Echo")
    path = made(tmp_path, dataclasses.replace(identity, study=study))
    assert errors_of(path) == []
    read = pydicom.dcmread(path)
    charset = read.SpecificCharacterSet
    assert (charset if isinstance(charset, str) else "\\".join(charset)) == written
    assert str(read.PatientName) == name
    (item,) = read.RequestAttributesSequence
    assert item.RequestedProcedureDescription == description


def test_text_in_an_item_alone_is_enough_to_leave_a_character_set(tmp_path):
    identity = examination(
        patient=PatientIdentity(name="Doe"),
        additional={0x00400275: Element("SQ", ({0x00321060: Element("LO", "山田")},))},
        character_set="ISO_IR 100",
    )
    read = pydicom.dcmread(made(tmp_path, identity))
    assert read.SpecificCharacterSet == "ISO_IR 192"
    assert read.RequestAttributesSequence[0].RequestedProcedureDescription == "山田"


def test_a_template_says_which_character_set(tmp_path):
    for given, meant in (("ISO_IR 100", "ISO_IR 100"), (["", "ISO 2022 IR 87"], JAPANESE)):
        identity = description_from_worklist(
            {},
            {"character_set": given},
            study_instance_uid="1.2",
            series_instance_uid="1.3",
        )
        assert identity.character_set == meant


def test_labels_of_channels_are_in_the_character_set_of_the_object(tmp_path):
    path = tmp_path / "ecg.dcm"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    writer = begin_waveform(
        descriptor,
        GENERAL_ECG,
        examination(character_set="ISO_IR 100"),
        device(),
        InstanceDescription("1.2.3.4", 1, MOMENT, MOMENT),
        file_meta=file_meta_of(GENERAL_ECG, "1.2.3.4"),
    )
    writer.begin_group(dataclasses.replace(ECG, label="Größe"))
    writer.write(bytes(24))
    writer.end_group()
    with pytest.raises(LocalError, match="no code"):
        writer.begin_group(dataclasses.replace(ECG, label="山"))
    writer.finish()
    os.close(descriptor)
    read = pydicom.dcmread(path)
    assert read.SpecificCharacterSet == "ISO_IR 100"
    assert read.WaveformSequence[0].MultiplexGroupLabel == "Größe"
