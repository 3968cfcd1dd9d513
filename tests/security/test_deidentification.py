"""What the profile does beyond the rows of its table: references, dates, text, private attributes,
overlays, structured content, in every encoding. Data sets are made and read by pydicom."""

from __future__ import annotations

import datetime
import tracemalloc
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.sequence import Sequence

from agent.dataset.conversion import rewrite
from agent.dataset.transfer_syntaxes import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    encoding_of,
)
from agent.errors import ConfigurationError, PeerError
from agent.security.confidentiality_actions import ConfidentialityProfile
from agent.security.deidentification import Deidentification
from agent.security.deidentification_marks import METHODS
from agent.security.pseudonyms import Pseudonyms, read_table
from agent.security.safe_private import _rows as safe_rows
from tests.security.deidentifying import PSEUDONYMS, bytes_of, deidentified, encoded, read

CT = "1.2.840.10008.5.1.4.1.1.2"


def _patient() -> Dataset:
    made = Dataset()
    made.SOPClassUID = CT
    made.SOPInstanceUID = "1.2.3.4"
    made.StudyInstanceUID = "1.2.3"
    made.StudyDate = "20240229"
    made.StudyTime = "235959"
    made.PatientName = "Wunibald^Maria"
    made.PatientID = "MRN-4711-X"
    made.PatientBirthDate = "19610412"
    made.Modality = "CT"
    return made


def _codes(made: Dataset) -> list[str]:
    return [each.CodeValue for each in made.DeidentificationMethodCodeSequence]


# What says that it was done.


@pytest.mark.parametrize("option", METHODS)
def test_each_option_is_named_by_its_code_of_cid_7050(option: object) -> None:
    found = METHODS[option]  # type: ignore[index]
    made = deidentified(_patient(), option.value)  # type: ignore[attr-defined]
    assert _codes(made) == ["113100", found[0]]
    assert made.PatientIdentityRemoved == "YES"


def test_methods_of_before_stay_named() -> None:
    once = deidentified(_patient(), "retain-full-dates")
    twice = deidentified(once)
    assert _codes(twice) == ["113100", "113106"]
    assert deidentified(once, "retain-uids").DeidentificationMethodCodeSequence[-1].CodeMeaning == (
        "Retain UIDs Option"
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "REMOVED"),
        (("retain-full-dates",), "UNMODIFIED"),
        (("retain-modified-dates",), "MODIFIED"),
    ],
)
def test_it_says_what_became_of_dates(options: tuple[str, ...], said: str) -> None:
    assert deidentified(_patient(), *options).LongitudinalTemporalInformationModified == said


def test_pixel_options_say_that_nothing_is_burned_in() -> None:
    given = _patient()
    given.BurnedInAnnotation = "YES"
    assert deidentified(given).BurnedInAnnotation == "YES"
    made = deidentified(given, "clean-pixel-data", "clean-recognizable-visual-features")
    assert (made.BurnedInAnnotation, made.RecognizableVisualFeatures) == ("NO", "NO")


def test_values_of_a_person_go_last() -> None:
    made = deidentified(
        _patient(),
        replacements={0x00100010: ("PN", b"Trial^12"), 0x00120040: ("LO", b"SUBJECT-12")},
    )
    assert (made.PatientName, made.ClinicalTrialSubjectID) == ("Trial^12", "SUBJECT-12")


# References and pseudonyms.


def test_references_between_objects_still_hold() -> None:
    image, other = _patient(), _patient()
    other.SOPInstanceUID = "1.2.3.5"
    item = Dataset()
    item.ReferencedSOPClassUID = CT
    item.ReferencedSOPInstanceUID = image.SOPInstanceUID
    other.ReferencedImageSequence = Sequence([item])
    made, referring = deidentified(image), deidentified(other)
    reference = referring.ReferencedImageSequence[0]
    assert reference.ReferencedSOPInstanceUID == made.SOPInstanceUID != "1.2.3.4"
    assert reference.ReferencedSOPClassUID == CT
    assert referring.StudyInstanceUID == made.StudyInstanceUID != "1.2.3"
    assert (referring.PatientID, referring.PatientName) == (made.PatientID, made.PatientName)


def test_another_key_makes_another_pseudonym_and_another_uid() -> None:
    other = Pseudonyms(b"some other key that nobody knows")
    one = deidentified(_patient())
    two = read(bytes_of(encoded(_patient()), pseudonyms=other))
    assert one.PatientID != two.PatientID
    assert one.StudyInstanceUID != two.StudyInstanceUID


def test_two_patients_have_two_pseudonyms() -> None:
    other = _patient()
    other.PatientID = "MRN-4712-X"
    assert deidentified(other).PatientID != deidentified(_patient()).PatientID


def test_who_has_no_id_is_told_by_name_then_by_study() -> None:
    nameless, other = _patient(), _patient()
    nameless.PatientID = other.PatientID = ""
    other.PatientName = "Wunibald^Martha"
    assert deidentified(nameless).PatientID != deidentified(other).PatientID
    nameless.PatientName = other.PatientName = ""
    assert deidentified(nameless).PatientID == deidentified(other).PatientID != ""


def test_a_table_goes_before_the_key(tmp_path: Path) -> None:
    table = tmp_path / "pseudonyms.csv"
    table.write_text('MRN-4711-X,S-1,"Subject, one"\n')
    made = read(
        bytes_of(encoded(_patient()), pseudonyms=Pseudonyms(bytes(32), read_table(str(table))))
    )
    assert (made.PatientID, made.PatientName) == ("S-1", "Subject, one")


@pytest.mark.parametrize(
    "text", ["a,b\n", "a,b,c\na,d,e\n", "a,,c\n", "a,b,c\\d\n", "a,b,Ä\n", 'a,"b,c\n']
)
def test_a_table_that_is_wrong_is_refused_with_its_row(tmp_path: Path, text: str) -> None:
    table = tmp_path / "pseudonyms.csv"
    table.write_text(text)
    with pytest.raises(ConfigurationError, match="table of pseudonyms"):
        read_table(str(table))


def test_a_key_that_can_be_guessed_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="too short"):
        Pseudonyms(b"secret")


# Dates.


def test_dates_of_a_patient_move_together_and_keep_their_distance() -> None:
    one, other = _patient(), _patient()
    other.StudyDate = "20240301"
    other.AcquisitionDateTime = "20240301000001.5+0100"
    first = deidentified(one, "retain-modified-dates")
    second = deidentified(other, "retain-modified-dates")
    assert first.StudyDate < "20240229"
    assert _day(second.StudyDate) - _day(first.StudyDate) == 1
    assert second.AcquisitionDateTime == f"{second.StudyDate}000001.5+0100"
    assert first.StudyTime == "235959"
    assert first.PatientBirthDate == ""


def _day(text: str) -> int:
    return datetime.datetime.strptime(text, "%Y%m%d").toordinal()


def test_a_date_that_is_none_does_not_stay() -> None:
    given = _patient()
    given.add_new(0x00080022, "LO", "Easter of Wunibald")
    data = encoded(given).replace(b"\x08\x00\x22\x00LO", b"\x08\x00\x22\x00DA")
    assert read(bytes_of(data, "retain-modified-dates")).AcquisitionDate == ""


def test_dates_that_the_table_does_not_have_go_like_those_it_has() -> None:
    given = _patient()
    given.SecondaryReviewDate = "20240229"
    assert deidentified(given).SecondaryReviewDate == "19000101"
    assert deidentified(given, "retain-full-dates").SecondaryReviewDate == "20240229"
    assert deidentified(given, "retain-modified-dates").SecondaryReviewDate < "20240229"


# Text.


def test_descriptions_keep_what_is_known_to_be_harmless() -> None:
    given = _patient()
    given.StudyDescription = "CT chest abdomen pelvis 5mm - 55F Dr. Smith"
    given.SeriesDescription = "for Wunibald"
    assert "StudyDescription" not in deidentified(given)
    made = deidentified(given, "clean-descriptors")
    assert made.StudyDescription == "CT chest abdomen pelvis 5mm"
    assert "SeriesDescription" not in made


def test_text_that_stays_is_searched_for_what_identifies() -> None:
    given = _patient()
    given.Manufacturer = "Wunibald & Sons"
    given.SoftwareVersions = "for mrn-4711-x"
    given.ManufacturerModelName = "Mariana 3"
    made = deidentified(given)
    assert (made.Manufacturer, made.SoftwareVersions) == ("REMOVED", "REMOVED")
    assert made.ManufacturerModelName == "Mariana 3"


def test_names_are_found_in_the_character_set_of_the_object() -> None:
    given = _patient()
    given.SpecificCharacterSet = "ISO_IR 192"
    given.PatientName = "Müller^Jörg=山田^太郎"
    given.Manufacturer = "Werke 山田"
    given.StudyDescription = "Schädel nativ Müller"
    made = deidentified(given, "clean-descriptors")
    assert made.Manufacturer == "REMOVED"
    assert "StudyDescription" not in made
    given.PatientName = "Maier"
    assert deidentified(given, "clean-descriptors").StudyDescription == "Schädel nativ"


def test_what_is_empty_stays_empty() -> None:
    given = _patient()
    given.ContrastBolusAgent = ""
    given.SeriesDate = ""
    made = deidentified(given)
    assert (made.ContrastBolusAgent, made.SeriesDate) == ("", "")


def test_attributes_that_no_dictionary_knows_go() -> None:
    given = _patient()
    given.add_new(0x0018_FFF0, "LO", "Wunibald")
    given.add_new(0x0018_FFF2, "UN", b"Wunibald")
    made = deidentified(given)
    assert 0x0018_FFF0 not in made
    assert 0x0018_FFF2 not in made


def test_local_codes_are_cleaned_and_those_of_the_standards_stay() -> None:
    given = _patient()
    public, local = Dataset(), Dataset()
    public.CodeValue, public.CodingSchemeDesignator, public.CodeMeaning = "T-D3000", "SRT", "Chest"
    local.CodeValue, local.CodingSchemeDesignator = "4711", "99WARD"
    local.CodeMeaning = "chest of the mayor"
    given.AdmittingDiagnosesCodeSequence = Sequence([public, local])
    assert "AdmittingDiagnosesCodeSequence" not in deidentified(given)
    one, two = deidentified(given, "clean-descriptors").AdmittingDiagnosesCodeSequence
    assert (one.CodeValue, one.CodeMeaning) == ("T-D3000", "Chest")
    assert (two.CodeValue, two.CodeMeaning) == ("REMOVED", "chest of the")


# Encodings.


@pytest.mark.parametrize(
    "syntax", [IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN]
)
def test_every_encoding_comes_to_the_same(syntax: str) -> None:
    given = _patient()
    inner = Dataset()
    inner.PatientName = "Wunibald^Maria"
    inner.ReferencedSOPClassUID, inner.ReferencedSOPInstanceUID = CT, "1.2.3.9"
    given.SourceImageSequence = Sequence([inner])
    given.SeriesDate = "20240229"
    given.Rows = 512
    made = deidentified(given, syntax=syntax)
    assert made == deidentified(given)
    assert b"Wunibald" not in bytes_of(encoded(given, syntax), syntax=syntax)


def test_a_sequence_that_was_written_as_unknown_is_looked_into() -> None:
    inner = Dataset()
    inner.ReferencedSOPClassUID, inner.ReferencedSOPInstanceUID = CT, "1.2.3.9"
    inner.PatientComments = "Wunibald"
    given = Dataset()
    given.SourceImageSequence = Sequence([inner])
    implicit = encoded(given, IMPLICIT_VR_LITTLE_ENDIAN)
    value = implicit[8:]
    explicit = implicit[:4] + b"UN\0\0" + len(value).to_bytes(4, "little")
    made = read(bytes_of(explicit + value))
    assert made.SourceImageSequence[0].ReferencedSOPInstanceUID == PSEUDONYMS.uid("1.2.3.9")
    assert "PatientComments" not in made.SourceImageSequence[0]


def test_what_is_cut_off_is_refused() -> None:
    data = encoded(_patient())
    with pytest.raises(PeerError):
        bytes_of(data[:-3])


# Private attributes, overlays, curves, padding.


def _private(creator: str, group: int, element: int, value: str) -> Dataset:
    given = _patient()
    block = given.private_block(group, creator, create=True)
    block.add_new(element, "LO", value)
    return given


def test_private_attributes_go_with_their_creators() -> None:
    made = deidentified(_private("GEMS_PARM_01", 0x0043, 0x27, "0.9:1"))
    assert not [each for each in made if each.tag.is_private]


@pytest.mark.parametrize(("group", "creator"), sorted(safe_rows()))
def test_private_attributes_that_are_known_to_be_safe_stay(group: int, creator: str) -> None:
    element = min(safe_rows()[group, creator])
    made = deidentified(_private(creator, group, element, "0.9:1"), "retain-safe-private")
    assert made.private_block(group, creator)[element].value == "0.9:1"
    made = deidentified(_private(creator, group, 0xEE, "0.9:1"), "retain-safe-private")
    assert 0xEE not in made.private_block(group, creator)
    made = deidentified(_private(creator, group, element, "Wunibald"), "retain-safe-private")
    assert made.private_block(group, creator)[element].value == "REMOVED"


def test_a_creator_that_nobody_knows_goes_whatever_is_in_it() -> None:
    given = _private("HOSPITAL OF WUNIBALD", 0x0043, 0x27, "0.9:1")
    made = deidentified(given, "retain-safe-private")
    assert not [each for each in made if each.tag.is_private]


def test_an_object_declares_which_of_its_private_attributes_are_safe() -> None:
    given = _private("MINE", 0x0043, 0x27, "whole block")
    given.private_block(0x0045, "MINE", create=True).add_new(0x01, "LO", "one")
    given.private_block(0x0045, "MINE").add_new(0x02, "LO", "other")
    whole, some = Dataset(), Dataset()
    whole.PrivateGroupReference, whole.PrivateCreatorReference = 0x0043, "MINE"
    whole.BlockIdentifyingInformationStatus = "SAFE"
    some.PrivateGroupReference, some.PrivateCreatorReference = 0x0045, "MINE"
    some.BlockIdentifyingInformationStatus = "MIXED"
    some.NonidentifyingPrivateElements = 0x01
    given.PrivateDataElementCharacteristicsSequence = Sequence([whole, some])
    made = deidentified(given, "retain-safe-private")
    assert made.private_block(0x0043, "MINE")[0x27].value == "whole block"
    assert made.private_block(0x0045, "MINE")[0x01].value == "one"
    assert 0x02 not in made.private_block(0x0045, "MINE")
    assert "PrivateDataElementCharacteristicsSequence" not in deidentified(given)


def _overlaid(kind: str) -> Dataset:
    given = _patient()
    for tag, vr, value in (
        (0x6000_0010, "US", 8),
        (0x6000_0011, "US", 8),
        (0x6000_0022, "LO", "drawn for Wunibald"),
        (0x6000_0040, "CS", kind),
        (0x6000_1500, "LO", "left, of Gundel"),
        (0x6000_3000, "OW", b"drawing!"),
        (0x6000_4000, "LT", "of Wunibald"),
    ):
        given.add_new(tag, vr, value)
    return given


@pytest.mark.parametrize(
    ("kind", "options", "stays"),
    [
        ("G", (), False),
        ("R", (), False),
        ("G", ("clean-graphics",), False),
        ("R", ("clean-graphics",), True),
    ],
)
def test_overlays_stay_where_they_are_regions_of_interest(
    kind: str, options: tuple[str, ...], stays: bool
) -> None:
    made = deidentified(_overlaid(kind), *options)
    groups = {each.tag.group for each in made}
    assert (0x6000 in groups) is stays
    if stays:
        assert made[0x6000_3000].value == b"drawing!"
        assert made[0x6000_0022].value == "REMOVED"
        assert made[0x6000_1500].value == "left of"
        assert 0x6000_4000 not in made


def test_curves_and_trailing_padding_go() -> None:
    given = _patient()
    given.add_new(0x5000_0005, "US", 1)
    given.add_new(0x5000_3000, "OW", b"curve of Wunibald!")
    given.add_new(0xFFFC_FFFC, "OB", b"Wunibald")
    made = deidentified(given)
    assert 0x5000 not in {each.tag.group for each in made}
    assert 0xFFFC_FFFC not in made


# Documents, graphics, structured content.


def test_a_document_is_replaced_by_an_empty_one() -> None:
    given = _patient()
    given.EncapsulatedDocument = b"%PDF-1.4 all about Wunibald "
    given.EncapsulatedDocumentLength = 28
    given.MIMETypeOfEncapsulatedDocument = "application/pdf"
    made = deidentified(given)
    document = made.EncapsulatedDocument[: made.EncapsulatedDocumentLength]
    assert document.startswith(b"%PDF")
    assert document.endswith(b"%%EOF\n")
    assert b"Wunibald" not in document


def _annotated() -> Dataset:
    given = _patient()
    text, item = Dataset(), Dataset()
    text.UnformattedTextValue = "left lung of Wunibald"
    item.GraphicLayer = "LAYER1"
    item.TextObjectSequence = Sequence([text])
    given.GraphicAnnotationSequence = Sequence([item, item])
    return given


def test_annotations_are_replaced_by_one_of_the_same_layer() -> None:
    made = deidentified(_annotated())
    (item,) = made.GraphicAnnotationSequence
    assert item.GraphicLayer == "LAYER1"
    assert item.TextObjectSequence[0].UnformattedTextValue == "REMOVED"


def test_annotations_can_stay_without_their_words() -> None:
    given = _annotated()
    given.PatientName = "Maier"
    made = deidentified(given, "clean-graphics")
    words = [
        each.TextObjectSequence[0].UnformattedTextValue for each in made.GraphicAnnotationSequence
    ]
    assert words == ["left lung of"] * 2
    made = deidentified(_annotated(), "clean-graphics")
    assert made.GraphicAnnotationSequence[0].TextObjectSequence[0].UnformattedTextValue == "REMOVED"


def _concept(value: str, meaning: str, scheme: str = "DCM") -> Sequence:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return Sequence([code])


def _content(value_type: str, concept: str, **values: object) -> Dataset:
    item = Dataset()
    item.RelationshipType = "CONTAINS"
    item.ValueType = value_type
    item.ConceptNameCodeSequence = _concept(concept, "concept")
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def _report() -> Dataset:
    given = _patient()
    given.ValueType = "CONTAINER"
    age = Dataset()
    age.NumericValue = "42"
    size = Dataset()
    size.NumericValue = "17.5"
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = CT, "1.2.3.9"
    given.ContentSequence = Sequence(
        [
            _content("TEXT", "121071", TextValue="left lung normal, says Dr. Wunibald"),
            _content("TEXT", "121013", TextValue="SCANNER-7"),
            _content("PNAME", "121008", PersonName="Wunibald^Walburga"),
            _content("DATETIME", "111526", DateTime="20240229120000"),
            _content("UIDREF", "121012", UID="1.2.3.10"),
            _content("NUM", "121033", MeasuredValueSequence=Sequence([age])),
            _content("NUM", "M-02550", MeasuredValueSequence=Sequence([size])),
            _content("CODE", "121032", ConceptCodeSequence=_concept("F", "Female")),
            _content("CODE", "121071", ConceptCodeSequence=_concept("T-28000", "Lung", "SRT")),
            _content("CODE", "121071", ConceptCodeSequence=_concept("7", "ward 7", "99WARD")),
            _content("IMAGE", "121080", ReferencedSOPSequence=Sequence([reference])),
        ]
    )  # fmt: skip
    given.ContentSequence.append(
        _content("CONTAINER", "121070", ContentSequence=Sequence([given.ContentSequence[0]]))
    )
    return given


def test_a_report_is_emptied() -> None:
    (item,) = deidentified(_report()).ContentSequence
    assert (item.ValueType, item.TextValue) == ("TEXT", "REMOVED")


def test_a_report_keeps_its_tree_without_persons() -> None:
    made = deidentified(_report(), "clean-structured-content").ContentSequence
    text, device, person, moment, uid, age, size, sex, site, local, image, inner = made
    assert (text.TextValue, device.TextValue, person.PersonName) == ("REMOVED",) * 3
    assert inner.ContentSequence[0].TextValue == "REMOVED"
    assert moment.DateTime == "19000101000000"
    assert PSEUDONYMS.uid("1.2.3.10") == uid.UID
    assert age.MeasuredValueSequence[0].NumericValue == 0
    assert size.MeasuredValueSequence[0].NumericValue == 17.5
    assert sex.ConceptCodeSequence[0].CodeMeaning == "REMOVED"
    assert site.ConceptCodeSequence[0].CodeMeaning == "Lung"
    assert local.ConceptCodeSequence[0].CodeMeaning == "REMOVED"
    assert image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == PSEUDONYMS.uid("1.2.3.9")


def test_options_of_a_report_work_together() -> None:
    given = _report()
    given.PatientName = "Maier"
    made = deidentified(
        given,
        "clean-structured-content",
        "clean-descriptors",
        "retain-device-identity",
        "retain-patient-characteristics",
    ).ContentSequence
    assert made[0].TextValue == "left lung normal"
    assert made[1].TextValue == "SCANNER-7"
    assert made[5].MeasuredValueSequence[0].NumericValue == 42
    assert made[7].ConceptCodeSequence[0].CodeMeaning == "Female"


def test_acquisition_context_is_structured_content_too() -> None:
    given = _patient()
    given.AcquisitionContextSequence = Sequence([_content("TEXT", "113961", TextValue="Wunibald")])
    assert len(deidentified(given).AcquisitionContextSequence) == 0
    (item,) = deidentified(given, "clean-structured-content").AcquisitionContextSequence
    assert item.TextValue == "REMOVED"


# Memory.


def test_memory_does_not_grow_with_the_pixels() -> None:
    class Image:
        """A head in front of a GiB of zeros."""

        head = encoded(_patient()) + b"\xe0\x7f\x10\x00OW\0\0" + (1 << 30).to_bytes(4, "little")
        length = len(head) + (1 << 30)

        def read(self, position: int, length: int) -> bytes:
            if position < len(self.head):
                return self.head[position : position + length]
            return bytes(max(0, min(length, self.length - position, 65536)))

    image, written = Image(), 0

    def count(data: bytes) -> None:
        nonlocal written
        written += len(data)

    deidentified(_patient())  # dictionaries are read once
    tracemalloc.start()
    try:
        made = Deidentification(
            image, encoding_of(EXPLICIT_VR_LITTLE_ENDIAN), ConfidentialityProfile(), PSEUDONYMS
        )
        syntax = EXPLICIT_VR_LITTLE_ENDIAN
        rewrite(image, syntax, syntax, count, through=made.through)
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()
    assert written > 1 << 30
