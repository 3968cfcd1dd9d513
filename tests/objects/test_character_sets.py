"""Text in the character set that a site prefers, and in UTF-8 where that has no code for it."""

import dataclasses

import pydicom
import pytest

from agent.objects.description import Element, PatientIdentity
from agent.objects.iods import ULTRASOUND_IMAGE
from agent.objects.pixels import grey
from agent.objects.request_attributes import description_from_worklist
from tests.objects.examples import ObjectFile, examination
from tests.objects.judging import errors_of

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
