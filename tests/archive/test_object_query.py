"""Queries of non-patient objects: every key of every table is matched and returned (PS3.4 U)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from pydicom import Dataset, Sequence
from pydicom.datadict import dictionary_VR, keyword_for_tag

from agent.archive.information_model import InformationModel
from agent.archive.matching_rules import MatchingRules
from agent.archive.object_keys import ObjectKey, combined, object_keys
from agent.archive.object_models import OBJECT_MODEL_NAMES
from agent.archive.object_query import object_query_page
from agent.archive.query_records import Question
from agent.archive.reader_worker import forget_connection
from agent.archive.well_known_palettes import WELL_KNOWN_PALETTES
from agent.dataset.attributes import Attributes
from agent.dataset.attributes_encoding import decode_attributes, encode_attributes
from agent.dataset.transfer_syntaxes import TRANSFER_SYNTAXES
from agent.errors import PeerError
from tests.archive.filled_archive import fill

EXPLICIT = "1.2.840.10008.1.2.1"
SYNTAX = TRANSFER_SYNTAXES[EXPLICIT]
VALUES: Mapping[str, tuple[Any, Any]] = {
    "AE": ("BOX1", "BOX2"),
    "CS": ("AAA", "BBB"),
    "DA": ("20260705", "20260706"),
    "DT": ("20260705120000", "20260706120000"),
    "FD": (1.5, 2.5),
    "LO": ("Text one", "Text two"),
    "LT": ("Words one", "Words two"),
    "PN": ("Doe^Jane", "Roe^Richard"),
    "SH": ("One", "Two"),
    "ST": ("Some words", "Other words"),
    "TM": ("100000", "110000"),
    "UC": ("Long one", "Long two"),
    "UI": ("1.2.3.1", "1.2.3.2"),
    "UL": (1, 2),
    "UR": ("urn:one", "urn:two"),
    "US": (1, 2),
    "UT": ("Unlimited one", "Unlimited two"),
    "UV": (1, 2),
}
MODELS = list(OBJECT_MODEL_NAMES.items())
IDS = [name for name, _ in MODELS]


def uid_of(name: str, number: int) -> str:
    return f"1.2.826.0.1.3680043.9.77.{IDS.index(name)}.{number}"


def made(keys: Mapping[int, ObjectKey], number: int) -> Dataset:
    """A data set with a value in every key."""
    found = Dataset()
    for tag, row in keys.items():
        vr = dictionary_VR(tag)
        value: Any
        if vr == "SQ":
            value = Sequence([made(row.items, number)] if row.items else [Dataset()])
        elif row.keyword == "DisplayEnvironmentSpatialPosition":
            value = [0.0, 1.0, 1.0, 0.0]
        else:
            value = VALUES[vr][number]
        setattr(found, row.keyword, value)
    return found


def instance(name: str, model: InformationModel, number: int) -> Dataset:
    found = made(object_keys(model), number)
    found.SOPClassUID = sorted(model.stored)[number % len(model.stored)]
    found.SOPInstanceUID = uid_of(name, number)
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Two objects of each model, an image, and an object whose keys are empty."""
    path = tmp_path_factory.mktemp("archive")
    found = [instance(name, model, number) for number in (0, 1) for name, model in MODELS]
    image = Dataset()
    image.SOPClassUID, image.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3.4.5"
    image.StudyInstanceUID, image.SeriesInstanceUID = "1.2.3.4", "1.2.3.4.1"
    empty = Dataset()
    empty.SOPClassUID, empty.SOPInstanceUID = "1.2.840.10008.5.1.4.38.1", "1.2.3.4.6"
    empty.HangingProtocolName, empty.NumberOfScreens = "", None
    fill(path, [*found, image, empty])
    yield str(path)
    forget_connection(str(path))


def question(model: InformationModel, keys: Attributes, **rules: Any) -> Question:
    return Question(
        model.find,
        encode_attributes(keys, SYNTAX),
        EXPLICIT,
        "BOX",
        MatchingRules(unknown_matches=False, date_times=combined(model), **rules),
    )


def pages(
    folder: str, model: InformationModel, keys: Attributes, **rules: Any
) -> tuple[list[Attributes], bool]:
    """All matches, and whether all keys are supported."""
    asked = question(model, keys, **rules)
    page = object_query_page(folder, asked, (), 1000)
    found = list(page.matches)
    while page.next is not None:
        page = object_query_page(folder, asked, page.next, 1)
        found += page.matches
    return [decode_attributes(each, SYNTAX) for each in found], page.complete


def ask(folder: str, model: InformationModel, keys: Attributes, **rules: Any) -> list[Attributes]:
    return pages(folder, model, keys, **rules)[0]


def uids(found: list[Attributes]) -> list[str]:
    return [each.text("SOPInstanceUID") for each in found]


def leaves(
    keys: Mapping[int, ObjectKey], path: tuple[int, ...] = ()
) -> Iterator[tuple[tuple[int, ...], ObjectKey]]:
    for tag, row in keys.items():
        if dictionary_VR(tag) == "SQ":
            yield from leaves(row.items, (*path, tag))
        else:
            yield (*path, tag), row


def asking(path: tuple[int, ...], value: Any) -> Attributes:
    """An identifier with this value at the end of a path of sequences."""
    here = Attributes()
    here.set(path[-1], value)
    for tag in reversed(path[:-1]):
        above = Attributes()
        above.set(tag, [here])
        here = above
    if "SOPInstanceUID" not in here:
        here.set("SOPInstanceUID")
    return here


@pytest.mark.parametrize(("name", "model"), MODELS, ids=IDS)
def test_each_key_is_matched_or_only_returned_as_its_table_says(
    folder: str, name: str, model: InformationModel
) -> None:
    equivalents = 0
    for path, row in leaves(object_keys(model)):
        if keyword_for_tag(path[0]) in ("SOPClassUID", "SOPInstanceUID"):
            continue
        if 0x00080121 in path:
            # The same macro each time: once is enough.
            equivalents += 1
            if equivalents > 12:
                continue
        vr = dictionary_VR(path[-1])
        if row.keyword == "DisplayEnvironmentSpatialPosition":
            continue
        for number, value in enumerate(VALUES[vr]):
            asked = asking(path, value)
            found, complete = pages(folder, model, asked)
            ours = [each for each in found if each.text("SOPInstanceUID").startswith("1.2.826")]
            if row.matches:
                assert complete, (row.keyword, path)
                assert uids(ours) == [uid_of(name, number)], row.keyword
                here = ours[0]
                for tag in path[:-1]:
                    here = here.item_of(tag)
                assert here.texts(path[-1]) == (str(value),), row.keyword
            else:
                assert not complete, (row.keyword, "a return key is not matched: FF01H")
                assert uids(ours) == [uid_of(name, 0), uid_of(name, 1)], row.keyword


@pytest.mark.parametrize(("name", "model"), MODELS, ids=IDS)
def test_all_return_keys_are_returned(folder: str, name: str, model: InformationModel) -> None:
    keys = Attributes()
    for tag in object_keys(model):
        keys.set(tag)
    keys.set("SOPInstanceUID", uid_of(name, 1))
    (found,) = ask(folder, model, keys)
    wanted = instance(name, model, 1)
    for tag in object_keys(model):
        if dictionary_VR(tag) == "SQ":
            assert len(found.items_of(tag)) == 1, keyword_for_tag(tag)
        else:
            assert found.text(tag) == str(wanted[tag].value), keyword_for_tag(tag)
    assert found.has("RetrieveAETitle") == (name == "inventory"), "Table JJ.4-2, and nowhere else"
    assert "QueryRetrieveLevel" not in found


@pytest.mark.parametrize(("name", "model"), MODELS, ids=IDS)
def test_a_list_of_uids_finds_those_of_this_model_only(
    folder: str, name: str, model: InformationModel
) -> None:
    other = IDS[IDS.index(name) - 1]
    keys = Attributes(SOPInstanceUID=[uid_of(name, 1), uid_of(other, 1), "1.2.3.4.5", "9.9"])
    assert uids(ask(folder, model, keys)) == [uid_of(name, 1)]


def test_an_unknown_value_matches_the_universal_key_only(folder: str) -> None:
    """PS3.4 K.2.2.1.1.1; in Query/Retrieve it would match anything."""
    model = OBJECT_MODEL_NAMES["hanging-protocol"]
    asked = Attributes(HangingProtocolName="One", SOPInstanceUID="")
    assert "1.2.3.4.6" not in uids(ask(folder, model, asked))
    assert "1.2.3.4.6" in uids(
        ask(folder, model, Attributes(HangingProtocolName="", SOPInstanceUID=""))
    )


@pytest.mark.parametrize("name", ["defined-procedure-protocol", "protocol-approval"])
def test_ps34_143_creation_date_and_time_are_one_range(folder: str, name: str) -> None:
    model = OBJECT_MODEL_NAMES[name]
    # The objects were made on the 5th at 10:00 and on the 6th at 11:00.
    for date, time, numbers in (
        ("20260705-20260707", "1000-1800", (0, 1)),
        ("20260705-20260706", "1030-1200", (1,)),
        ("20260704-20260706", "2300-0900", (0,)),
        ("20260705-", "1030-", (1,)),
        ("-20260706", "-1030", (0,)),
    ):
        asked = Attributes(InstanceCreationDate=date, InstanceCreationTime=time, SOPInstanceUID="")
        found = uids(ask(folder, model, asked))
        assert found == [uid_of(name, each) for each in numbers], (date, time)


def test_ranges_of_an_inventory_are_not_combined(folder: str) -> None:
    """Tables JJ.2-1 and U.6-1 say nothing of it."""
    model = OBJECT_MODEL_NAMES["inventory"]
    asked = Attributes(ContentDate="20260705-20260706", ContentTime="1030-1200", SOPInstanceUID="")
    assert uids(ask(folder, model, asked)) == [uid_of("inventory", 1)]
    asked = Attributes(ContentDate="20260704-20260707", ContentTime="2300-0900", SOPInstanceUID="")
    assert ask(folder, model, asked) == []


def test_wild_cards_and_fuzzy_names(folder: str) -> None:
    model = OBJECT_MODEL_NAMES["defined-procedure-protocol"]
    both = [uid_of("defined-procedure-protocol", each) for each in (0, 1)]
    asked = Attributes(ProtocolName="Text*", SOPInstanceUID="")
    assert uids(ask(folder, model, asked)) == both
    asked = Attributes(ContentCreatorName="Jayne Doe", SOPInstanceUID="")
    assert ask(folder, model, asked) == []
    assert uids(ask(folder, model, asked, fuzzy_names=True)) == both[:1]


def test_the_well_known_palettes_answer_although_nobody_stored_them(folder: str) -> None:
    model = OBJECT_MODEL_NAMES["color-palette"]
    asked = Attributes(SOPInstanceUID=WELL_KNOWN_PALETTES[:2], ContentLabel="")
    found = ask(folder, model, asked)
    assert uids(found) == list(WELL_KNOWN_PALETTES[:2])
    assert found[0].text("ContentLabel") == "HOT_IRON"
    every = uids(ask(folder, model, Attributes(SOPInstanceUID="")))
    assert every == [uid_of("color-palette", 0), uid_of("color-palette", 1), *WELL_KNOWN_PALETTES]
    labelled = ask(folder, model, Attributes(SOPInstanceUID="", ContentLabel="PET*"))
    assert uids(labelled) == [WELL_KNOWN_PALETTES[1], WELL_KNOWN_PALETTES[3]]


def test_what_is_no_key_is_left_out_and_said(folder: str) -> None:
    model = OBJECT_MODEL_NAMES["hanging-protocol"]
    asked = Attributes(SOPInstanceUID=uid_of("hanging-protocol", 0), PatientName="Doe^*")
    (found,), complete = pages(folder, model, asked)
    assert not complete
    assert "PatientName" not in found


def test_hostile_identifiers(folder: str) -> None:
    model = OBJECT_MODEL_NAMES["hanging-protocol"]
    two = Attributes(HangingProtocolDefinitionSequence=[{"Modality": "CT"}, {"Modality": "MR"}])
    with pytest.raises(PeerError, match="more than one item") as caught:
        object_query_page(folder, question(model, two))
    assert caught.value.reaction.status == 0xA900
    assert caught.value.reaction.offending_elements == (0x0072000C,)
    # A sequence that says it is text, and text that says it is a sequence.
    strange = Attributes(SOPInstanceUID="")
    strange.set("HangingProtocolDefinitionSequence", "CT", vr="LO")
    strange.set("HangingProtocolName", [{"Modality": "CT"}], vr="SQ")
    found, complete = pages(folder, model, strange)
    assert len(found) == 3
    assert not complete
    assert ask(folder, model, Attributes()) == [], "an identifier without a key matches nothing"
    with pytest.raises(PeerError):
        object_query_page(
            folder, Question(model.find, b"\x72\0\2\0SH\x10\0AB", EXPLICIT, "", MatchingRules())
        )
