"""What a retrieval asks for, and what of it the index has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.archive import selected_instances
from agent.archive.archive import Archive
from agent.archive.information_model import PATIENT_ROOT, PATIENT_STUDY_ONLY, STUDY_ROOT
from agent.archive.records import Instance
from agent.archive.selection import Place, Selected, Selection, selection_of
from agent.dataset.attributes import Attributes
from agent.errors import PeerError, StatusReaction
from tests.archive.objects import Worker, sample
from tests.archive.test_archive import run, store

GREEK = "Θήρα"


def asked(level: str, **keys: Any) -> Attributes:
    return Attributes(QueryRetrieveLevel=level, **keys)


@pytest.mark.parametrize(
    ("model", "identifier", "offending"),
    [
        (STUDY_ROOT, Attributes(StudyInstanceUID="1.2"), 0x00080052),
        (STUDY_ROOT, asked("PATIENT", PatientID="1"), 0x00080052),
        (PATIENT_STUDY_ONLY, asked("SERIES", SeriesInstanceUID="1.2"), 0x00080052),
        (STUDY_ROOT, asked("STUDY"), 0x0020000D),
        (STUDY_ROOT, asked("STUDY", StudyInstanceUID="*"), 0x0020000D),
        (STUDY_ROOT, asked("STUDY", StudyInstanceUID="1." + "2" * 63), 0x0020000D),
        (STUDY_ROOT, asked("SERIES", SeriesInstanceUID="1.2"), 0x0020000D),
        (
            STUDY_ROOT,
            asked("SERIES", StudyInstanceUID="1.2\\1.3", SeriesInstanceUID="1.4"),
            0x0020000D,
        ),
        (
            STUDY_ROOT,
            asked("STUDY", StudyInstanceUID="1.2", SeriesInstanceUID="1.4"),
            0x0020000E,
        ),
        (PATIENT_ROOT, asked("PATIENT", PatientID="1\\2"), 0x00100020),
        (PATIENT_ROOT, asked("PATIENT", PatientID="1*"), 0x00100020),
        (PATIENT_ROOT, asked("STUDY", StudyInstanceUID="1.2"), 0x00100020),
    ],
)
def test_ps34_072_an_identifier_that_is_none_of_its_model_is_refused(
    model: Any, identifier: Attributes, offending: int
) -> None:
    with pytest.raises(PeerError) as caught:
        selection_of(model, identifier)
    reaction = caught.value.reaction
    assert isinstance(reaction, StatusReaction)
    assert (reaction.status, reaction.offending_elements) == (0xA900, (offending,))


def test_keys_above_the_level_may_be_missing_only_where_retrieval_is_relational() -> None:
    identifier = asked("IMAGE", SOPInstanceUID="1.2\\1.3")
    assert selection_of(STUDY_ROOT, identifier, relational=True).keys == {
        "SOPInstanceUID": ("1.2", "1.3")
    }
    with pytest.raises(PeerError):
        selection_of(STUDY_ROOT, identifier)
    with pytest.raises(PeerError):
        selection_of(STUDY_ROOT, asked("IMAGE"), relational=True)


def test_what_is_no_unique_key_of_the_model_is_passed_over() -> None:
    identifier = asked(
        "STUDY", StudyInstanceUID="1.2", PatientID="other", Modality="CT", SeriesInstanceUID=""
    )
    assert selection_of(STUDY_ROOT, identifier).keys == {"StudyInstanceUID": ("1.2",)}


def all_of(folder: Path, selected: Selected, limit: int = 2) -> Iterator[Instance]:
    place: Place | None = Place()
    while place is not None:
        page = selected_instances.selected_page(str(folder), selected, place, limit)
        yield from page.instances
        place = page.next


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two patients of one ID and different studies; three series, seven instances."""
    folder = tmp_path_factory.mktemp("archive")
    with Worker(folder) as worker:
        worker.store(
            *(sample(f"1.1.{n}", study="1.1", series="1.1.0") for n in range(1, 4)),
            *(sample(f"1.1.{n}", study="1.1", series="1.1.9") for n in range(4, 6)),
            sample("1.2.1", study="1.2", series="1.2.0"),
            sample(
                "1.3.1",
                study="1.3",
                series="1.3.0",
                patient_id=GREEK,
                character_set="ISO_IR 192",
            ),
        )
        # Other bytes under a UID that is there: the newest is what is retrieved.
        worker.store(sample("1.1.2", study="1.1", series="1.1.0", pixels=b"\7\7" * 9))
    return folder


@pytest.mark.parametrize(
    ("level", "keys", "uids"),
    [
        ("PATIENT", {"PatientID": "4711"}, "1.1.1 1.1.3 1.1.4 1.1.5 1.1.2 1.2.1"),
        ("PATIENT", {"PatientID": GREEK}, "1.3.1"),
        ("PATIENT", {"PatientID": "471"}, ""),
        ("STUDY", {"StudyInstanceUID": "1.2\\1.3"}, "1.2.1 1.3.1"),
        ("STUDY", {"StudyInstanceUID": "1.3\\1.2"}, "1.3.1 1.2.1"),
        ("STUDY", {"StudyInstanceUID": "1.9"}, ""),
        ("STUDY", {"StudyInstanceUID": "1.2", "PatientID": "4711"}, "1.2.1"),
        ("STUDY", {"StudyInstanceUID": "1.2", "PatientID": GREEK}, ""),
        ("SERIES", {"StudyInstanceUID": "1.1", "SeriesInstanceUID": "1.1.9"}, "1.1.4 1.1.5"),
        ("SERIES", {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.1.9"}, ""),
        ("SERIES", {"SeriesInstanceUID": "1.1.9\\1.2.0"}, "1.1.4 1.1.5 1.2.1"),
        ("IMAGE", {"SOPInstanceUID": "1.2.1\\1.1.2\\9.9"}, "1.2.1 1.1.2"),
        (
            "IMAGE",
            {
                "StudyInstanceUID": "1.1",
                "SeriesInstanceUID": "1.1.0",
                "SOPInstanceUID": "1.1.1\\1.2.1",
            },
            "1.1.1",
        ),
    ],
)
def test_ps34_072_lists_of_uids_find_all_that_is_meant_and_nothing_else(
    archive: Path, level: str, keys: dict[str, str], uids: str
) -> None:
    selection = selection_of(PATIENT_ROOT, asked(level, **keys), relational=True)
    selected = selected_instances.select(str(archive), selection)
    found = list(all_of(archive, selected))
    assert [each.sop_instance_uid for each in found] == uids.split()
    assert selected.total == len(found)
    assert all(Path(each.path).is_file() for each in found)


def test_what_comes_while_pages_are_read_does_not_belong_to_them(tmp_path: Path) -> None:
    with Worker(tmp_path) as worker:
        worker.store(*(sample(f"1.1.{n}") for n in range(1, 4)))
        selection = Selection("STUDY", {"StudyInstanceUID": ("1.2.3",)})
        selected = selected_instances.select(str(tmp_path), selection)
        worker.store(sample("1.1.4"))
        assert len(list(all_of(tmp_path, selected))) == selected.total == 3
        assert selected_instances.select(str(tmp_path), selection).total == 4


def test_only_the_roots_that_a_page_needs_go_to_the_worker(tmp_path: Path) -> None:
    uids = [f"1.2.3.{number}" for number in range(1, 8)]

    async def test(archive: Archive) -> None:
        for uid in uids:
            await store(archive, sample(uid))
        selected = await archive.select(Selection("IMAGE", {"SOPInstanceUID": tuple(uids)}))
        found: list[str] = []
        place: Place | None = Place()
        while place is not None:
            page = await archive.selected_page(selected, place, 3)
            found += [each.sop_instance_uid for each in page.instances]
            place = page.next
        assert found == uids

    run(tmp_path, test)
