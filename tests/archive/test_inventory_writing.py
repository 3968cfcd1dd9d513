"""Inventories made from the index: in one instance or several, in bounded memory (PS3.3 C.38.1)."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from agent.archive.inventory_requests import (
    InventoryState,
    Part,
    inventories,
    keep_inventory,
    records_path,
)
from agent.archive.inventory_writing import append_records, write_inventory
from agent.archive.object_models import INVENTORY
from agent.archive.procedure_steps import pack
from agent.archive.reader_worker import forget_connection
from agent.dataset.attributes import Attributes
from agent.dataset.file_meta import encode_file_meta
from agent.errors import StorageError
from tests.archive.filled_archive import fill, multiply
from tests.peers.programs import program, run

ROOT = Path(__file__).parents[2]


def image(study: int, number: int, name: str = "Doe^Jane", charset: str = "") -> Dataset:
    made = Dataset()
    if charset:
        made.SpecificCharacterSet = charset
    made.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    made.PatientName, made.PatientID = name, f"P{study}"
    made.StudyDescription = name
    made.StudyInstanceUID, made.SeriesInstanceUID = f"1.2.{study}", f"1.2.{study}.1"
    made.SOPInstanceUID = f"1.2.{study}.1.{number}"
    made.Modality = "OT"
    return made


def begun(level: str = "INSTANCE") -> InventoryState:
    return InventoryState(
        "1.2.3",
        "BOX",
        "peer",
        level,
        "Test",
        pack(Attributes()).hex(),
        pack(Attributes(QueryRetrieveLevel="STUDY", StudyInstanceUID="")).hex(),
        time.time(),
        "1.2.3.0",
    )


def written(folder: str, state: InventoryState, completion: str, path: Path) -> Dataset:
    """The instance that is next, as pydicom reads it."""
    (sop_class_uid,) = INVENTORY.stored
    with path.open("wb", buffering=0) as file:
        file.write(
            encode_file_meta(
                sop_class_uid=sop_class_uid,
                sop_instance_uid=state.next_uid,
                transfer_syntax_uid="1.2.840.10008.1.2.1",
                implementation_class_uid="1.2.3",
            )
        )
        write_inventory(folder, state, completion, "BOX", "1", descriptors=[file.fileno()])
    return dcmread(path)


def gathered(folder: str, state: InventoryState, largest: int = 1 << 20) -> InventoryState:
    while state.place is not None and state.written < largest:
        state = append_records(folder, state, "BOX", largest)
    return state


def test_a_large_inventory_is_several_instances_of_which_the_last_is_the_root(
    tmp_path: Path,
) -> None:
    folder = str(tmp_path / "archive")
    fill(Path(folder), [image(study, number) for study in range(120) for number in (1, 2)])
    state, found = begun(), []
    while True:
        state = gathered(folder, state, 20_000)
        completion = "PARTIAL" if state.place is not None else "COMPLETE"
        part = written(folder, state, completion, tmp_path / f"{len(found)}.dcm")
        found.append(part)
        if completion == "COMPLETE":
            break
        parts = (*state.parts, Part(state.next_uid, state.waiting))
        state = state._replace(parts=parts, waiting=0, written=0, next_uid=f"1.2.3.{len(found)}")
    forget_connection(folder)
    for number in range(len(found)):
        run([program("dcmtk", "dcmdump"), "-q", tmp_path / f"{number}.dcm"]).check()
    *children, root = found
    assert len(children) >= 1
    assert root.TotalNumberOfStudyRecords == 120
    assert [
        each.ReferencedSOPInstanceUID for each in root.IncorporatedInventoryInstanceSequence
    ] == [each.SOPInstanceUID for each in children]
    for each in children:
        assert each.InventoryCompletionStatus == "PARTIAL"
        assert each.TotalNumberOfStudyRecords == each.NumberOfStudyRecordsInInstance
        assert len(each.IncorporatedInventoryInstanceSequence) == 0
    for each in root.IncorporatedInventoryInstanceSequence:
        assert each.InventoryAccessEndPointsSequence[0].RetrieveAETitle == "BOX"
    studies = [
        study.StudyInstanceUID for each in found for study in each.get("InventoriedStudiesSequence")
    ]
    assert sorted(studies) == sorted(f"1.2.{study}" for study in range(120))
    assert all(each.TransactionUID == "1.2.3" for each in found)


def test_text_of_any_character_set_is_in_utf_8(tmp_path: Path) -> None:
    folder = str(tmp_path / "archive")
    names = {"ISO_IR 100": "Müller^Jörg", "ISO_IR 192": "山田^太郎", "ISO_IR 144": "Иванов^Иван"}
    fill(
        Path(folder),
        [image(number, 1, name, charset) for number, (charset, name) in enumerate(names.items())],
    )
    made = written(folder, gathered(folder, begun("STUDY")), "COMPLETE", tmp_path / "made.dcm")
    forget_connection(folder)
    assert made.SpecificCharacterSet == "ISO_IR 192"
    found = {str(each.PatientName) for each in made.InventoriedStudiesSequence}
    assert found == set(names.values())
    assert {each.StudyDescription for each in made.InventoriedStudiesSequence} == found


def test_what_a_crash_left_behind_is_cut_off_and_what_it_took_is_missed(tmp_path: Path) -> None:
    folder = str(tmp_path / "archive")
    fill(Path(folder), [image(study, 1) for study in range(60)])
    whole = gathered(folder, begun())
    complete = written(folder, whole, "COMPLETE", tmp_path / "whole.dcm")
    # A state that was kept after the first page; then more was written, and the plug pulled.
    early = append_records(folder, begun()._replace(written=0), "BOX", 1)
    assert 0 < early.waiting < 60
    with records_path(folder, early.transaction).open("ab") as file:
        file.write(b"half a record")
    again = written(folder, gathered(folder, early), "COMPLETE", tmp_path / "again.dcm")
    assert len(again.InventoriedStudiesSequence) == len(complete.InventoriedStudiesSequence) == 60
    os.truncate(records_path(folder, early.transaction), early.written - 1)
    with pytest.raises(StorageError, match="gone"):
        append_records(folder, early, "BOX", 1 << 20)
    forget_connection(folder)


def test_transactions_are_kept_and_old_ones_forgotten(tmp_path: Path) -> None:
    folder = str(tmp_path)
    state = begun()._replace(parts=(Part("1.2", 5),), place=(7,))
    assert keep_inventory(folder, state)
    assert inventories(folder) == [state]
    assert not keep_inventory(folder, state, True), "it is known already"
    over = state._replace(transaction="1.2.4", status="COMPLETE", place=None)
    keep_inventory(folder, over)
    (tmp_path / "inventories" / "1.2.5.json").write_text("{}")
    (tmp_path / "inventories" / "no uid.json").write_text("{}")
    assert inventories(folder) == [state, over]
    assert inventories(folder, time.time() + 60) == [state]
    assert inventories(folder) == [state]


_MEASURE = """
import resource, sys
from tests.archive.test_inventory_writing import begun, gathered
from agent.archive.inventory_requests import records_path
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
state = gathered(sys.argv[1], begun(), 1 << 30)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(state.records, state.written, after - before)
"""


@pytest.mark.parametrize(
    "studies", [10_000, pytest.param(1_000_000, marks=pytest.mark.long)], ids=["10k", "1M"]
)
def test_memory_does_not_grow_with_the_archive(tmp_path: Path, studies: int) -> None:
    folder = tmp_path / "archive"
    fill(folder, [image(1, 1)])
    multiply(folder, studies)
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    records, size, growth = map(int, done.stdout.split())
    assert records == studies + 1
    assert size > studies * 400
    assert growth < 12 << 10, "KiB: caches of SQLite and of the query, whatever there is"


# Table C.38.1-1: Type 1, 2, and 3 as far as we have it, of the items at each level.
_STUDY_TABLE = (
    {"ItemInventoryDateTime", "StudyInstanceUID", "RetrieveAETitle"},
    {
        *("StudyDate", "StudyTime", "AccessionNumber", "ModalitiesInStudy", "StudyUpdateDateTime"),
        *("InventoriedSeriesSequence", "StudyDescription", "PatientName", "PatientID"),
        *("PatientBirthDate", "PatientSex", "StudyID", "NumberOfStudyRelatedSeries"),
        "NumberOfStudyRelatedInstances",
    },
    {"ReferringPhysicianName", "IssuerOfPatientID"},
)
_SERIES_TABLE = (
    {"Modality", "SeriesInstanceUID"},
    {"SeriesNumber", "InventoriedInstancesSequence"},
    {"SeriesDate", "SeriesTime", "SeriesDescription", "BodyPartExamined"},
)
_INSTANCE_TABLE = (
    {"SOPClassUID", "SOPInstanceUID"},
    {"InstanceNumber"},
    {"ContentDate", "ContentTime", "NumberOfFrames"},
)


def test_items_have_what_table_c_38_1_1_has_and_nothing_else(tmp_path: Path) -> None:
    folder = str(tmp_path / "archive")
    rich, poor = image(0, 1), image(1, 1)
    rich.Modality = "MR"
    del poor.Modality
    fill(Path(folder), [rich, poor])
    made = written(folder, gathered(folder, begun()), "COMPLETE", tmp_path / "made.dcm")
    forget_connection(folder)
    assert len(made.IncorporatedInventoryInstanceSequence) == 0
    studies = list(made.InventoriedStudiesSequence)
    series = [each for study in studies for each in study.InventoriedSeriesSequence]
    instances = [each for one in series for each in one.InventoriedInstancesSequence]
    assert len(studies) == len(series) == len(instances) == 2
    for items, (first, second, third) in (
        (studies, _STUDY_TABLE),
        (series, _SERIES_TABLE),
        (instances, _INSTANCE_TABLE),
    ):
        for item in items:
            assert set(item.dir()) == first | second | third
            assert all(str(item.get(each)) for each in first), item
    assert [each.Modality for each in series] == ["MR", "OT"]
