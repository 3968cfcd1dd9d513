"""The tables of modules and IODs, held against the dictionary, the registry and themselves."""

import dataclasses

import pytest
from pydicom.datadict import dictionary_VR
from pydicom.filereader import data_element_generator

from agent.dataset.sop_classes import SOP_CLASSES
from agent.dataset.tags import PIXEL_DATA
from agent.dataset.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, encoding_of
from agent.errors import LocalError
from agent.objects.description import Cine, DeviceIdentity, InstanceDescription
from agent.objects.head import compose, resolve
from agent.objects.iods import IODS, iod_of
from agent.objects.module import Facts, ObjectFacts
from agent.objects.modules import MODULES
from agent.objects.pixels import PixelDescription, colour, grey
from agent.objects.sources import CONDITIONS
from tests.objects.examples import GEOMETRY, MOMENT, device, examination

ROWS = [(module, row) for module in MODULES.values() for row in module.attributes]
SYNTAX = encoding_of(EXPLICIT_VR_LITTLE_ENDIAN)


def facts(pixels=None, **changes) -> Facts:
    identity = examination()
    made = Facts(
        identity.patient,
        identity.study,
        identity.series,
        device(),
        InstanceDescription("1.2.3", 1, MOMENT, MOMENT),
        pixels or grey(10, 10),
        Cine.at_rate(25),
        ObjectFacts("1.2.840.10008.5.1.4.1.1.3.1", "US", ("ORIGINAL", "PRIMARY"), True),
    )
    return dataclasses.replace(made, **changes)


@pytest.mark.parametrize(("module", "row"), ROWS, ids=lambda each: getattr(each, "name", None))
def test_each_row_has_the_vr_of_the_dictionary_a_source_and_a_known_condition(module, row):
    # Where PS3.6 leaves the choice, the table makes it.
    assert row.vr in dictionary_VR(row.tag).split(" or ")
    assert row.type in ("1", "1C", "2", "2C", "3")
    assert not row.when or row.when in CONDITIONS
    assert not row.when or row.type.endswith("C")
    assert 0x00080000 < row.tag < PIXEL_DATA
    resolve(row.source, facts())


@pytest.mark.parametrize("iod", IODS.values(), ids=lambda iod: iod.clause)
def test_each_iod_names_modules_that_there_are_and_a_storage_class_of_the_registry(iod):
    assert set(iod.modules) <= set(MODULES) and len(set(iod.modules)) == len(iod.modules)
    assert SOP_CLASSES[iod.sop_class_uid].stored
    assert {"Patient", "General Study", "General Series", "SOP Common"} <= set(iod.modules)
    assert ("Image Pixel" in iod.modules) is bool(iod.pixel_rules)
    assert ("Multi-frame" in iod.modules) is (iod.multi_frame or iod.may_be_multi_frame)


def test_every_module_is_used():
    assert {name for iod in IODS.values() for name in iod.modules} == set(MODULES)


def test_a_class_that_is_not_created_is_refused():
    with pytest.raises(LocalError):
        iod_of("1.2.840.10008.1.1")


def test_type_1_without_a_value_is_an_error_and_type_2_is_empty():
    iod = iod_of("1.2.840.10008.5.1.4.1.1.6.1")
    nobody = facts(
        patient=type(facts().patient)(),
        study=type(facts().study)("1.2"),
        device=DeviceIdentity(),
        cine=None,
    )
    read = compose(iod, nobody, {}, SYNTAX).data
    assert b"\x10\x00\x10\x00PN\x00\x00" in read
    with pytest.raises(LocalError) as caught:
        compose(iod, facts(study=type(facts().study)("")), {}, SYNTAX)
    assert "(0020,000D)" in str(caught.value).upper() and "C.7.2.1" in caught.value.clause


def test_elements_are_in_ascending_order_and_written_once(tmp_path):
    """As pydicom reads them, which keeps the order of the file."""
    for iod in IODS.values():
        if not iod.pixel_rules:
            continue
        rule = next(rule for rule in iod.pixel_rules if rule.native)
        pixels = pixels_of(rule)
        identity = examination()
        made = facts(
            pixels,
            series=dataclasses.replace(identity.series, laterality="R"),
            instance=InstanceDescription(
                "1.2.3",
                1,
                MOMENT,
                MOMENT,
                patient_orientation=("L", "F"),
                pixel_spacing=(0.1, 0.1),
                geometry=GEOMETRY,
            ),
        )
        path = tmp_path / iod.sop_class_uid
        path.write_bytes(compose(iod, made, {}, SYNTAX).data)
        with path.open("rb") as file:
            tags = [element.tag for element in data_element_generator(file, False, True)]
        assert tags == sorted(set(tags)) and len(tags) > 30


def pixels_of(rule):
    samples = 1 if rule.photometric_interpretation.startswith("MONO") else 3
    bits = (rule.bits_allocated[0], min(rule.bits_allocated[0], rule.bits_stored[1]))
    return PixelDescription(4, 4, rule.photometric_interpretation, samples, *bits)


@pytest.mark.parametrize(
    "pixels",
    [
        grey(0, 10),
        grey(10, 65536),
        PixelDescription(10, 10, "MONOCHROME2", 1, 8, 9),
        PixelDescription(10, 10, "MONOCHROME2", 1, 12, 12),
        PixelDescription(10, 10, "RGB", 1, 8, 8),
        PixelDescription(10, 10, "MONOCHROME2", 3, 8, 8),
        PixelDescription(10, 11, "YBR_FULL_422", 3, 8, 8),
        grey(65535, 65535, bits_stored=16),
    ],
)
def test_pixels_that_cannot_be_are_refused(pixels):
    with pytest.raises(LocalError):
        pixels.check()


@pytest.mark.parametrize(
    ("sop_class_uid", "pixels", "native", "encapsulated"),
    [
        ("1.2.840.10008.5.1.4.1.1.3.1", grey(4, 4), True, True),
        ("1.2.840.10008.5.1.4.1.1.3.1", grey(4, 4, bits_stored=16), False, False),
        ("1.2.840.10008.5.1.4.1.1.3.1", colour(4, 4), True, True),
        ("1.2.840.10008.5.1.4.1.1.3.1", colour(4, 4, "YBR_FULL_422"), False, True),
        ("1.2.840.10008.5.1.4.1.1.7", colour(4, 4, "YBR_FULL_422"), True, True),
        ("1.2.840.10008.5.1.4.1.1.7", grey(4, 4, bits_stored=12), True, True),
        ("1.2.840.10008.5.1.4.1.1.7.2", grey(4, 4, bits_stored=12), False, False),
        ("1.2.840.10008.5.1.4.1.1.7.3", grey(4, 4, bits_stored=12), True, True),
        ("1.2.840.10008.5.1.4.1.1.7.3", grey(4, 4), False, False),
        ("1.2.840.10008.5.1.4.1.1.7.4", colour(4, 4), True, True),
        ("1.2.840.10008.5.1.4.1.1.7.4", grey(4, 4), False, False),
    ],
)
def test_each_iod_takes_the_pixels_that_its_clause_allows(
    sop_class_uid, pixels, native, encapsulated
):
    for is_encapsulated, allowed in ((False, native), (True, encapsulated)):
        if allowed:
            iod_of(sop_class_uid).check(pixels, encapsulated=is_encapsulated)
        else:
            with pytest.raises(LocalError):
                iod_of(sop_class_uid).check(pixels, encapsulated=is_encapsulated)
