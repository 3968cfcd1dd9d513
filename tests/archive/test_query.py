"""Queries of the index against brute force: random archives, random identifiers (PS3.4 C)."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from agent.archive import query_worker
from agent.archive.information_model import PATIENT_ROOT, STUDY_ROOT
from agent.archive.query_records import Question
from agent.archive.reader_worker import forget_connection
from agent.errors import PeerError
from agent.services.query import Options, rules_for
from tests.archive.filled_archive import fill
from tests.archive.query_reference import (
    LEVELS,
    UNIQUE,
    Archive,
    Negotiated,
    Refused,
    comparable,
    told,
)

ROOTS = {"patient": PATIENT_ROOT.find, "study": STUDY_ROOT.find}
CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"

NAMES = {
    "": ("Doe^Jane", "doe^john^^", "O'Neil^Ann", "", "Doe"),
    "ISO_IR 100": ("Müller^Jörg", "Doe^Jane", "Straße^Ä", ""),
    "ISO_IR 192": ("Müller^Jörg", "山田^太郎", "Yamada^Tarou=山田^太郎=やまだ^たろう", "Doe^Jane"),
    "\\ISO 2022 IR 87": ("Yamada^Tarou=山田^太郎", "Doe^Jane"),
}
TEXTS = {
    "": ("A1", "A2", "a1", "", "A 1"),
    "ISO_IR 100": ("A1", "Äb", ""),
    "ISO_IR 192": ("A1", "Äb", "部位"),
    "\\ISO 2022 IR 87": ("A1", "部位"),
}
DATES = ("20060704", "20060705", "20060706", "20060707", "")
TIMES = ("0930", "100000", "120000.5", "180000", "1800", "")


@st.composite
def archives(draw: st.DrawFn) -> list[Dataset]:
    """Up to some dozen instances; what belongs to an entity is the same in all of its instances."""
    found = []
    for patient in range(draw(st.integers(1, 3))):
        charset = draw(st.sampled_from(list(NAMES)))
        person = Dataset()
        if charset:
            person.SpecificCharacterSet = charset.split("\\")
        person.PatientName = draw(st.sampled_from(NAMES[charset]))
        person.PatientID = draw(st.sampled_from(("P1", "p1", f"X{patient}", "P 1"))) + str(patient)
        if draw(st.integers(0, 5)) == 0:
            person.PatientID = ""
            person.PatientName = f"Nobody^{patient}"
        person.PatientBirthDate = draw(st.sampled_from(DATES))
        person.PatientSex = draw(st.sampled_from(("M", "F", "")))
        if draw(st.booleans()):
            person.PatientComments = draw(st.sampled_from(TEXTS[charset]))
        for study in range(draw(st.integers(1, 3))):
            visit = Dataset()
            visit.update(person)
            visit.StudyInstanceUID = f"1.2.{patient}.{study}"
            visit.StudyDate = draw(st.sampled_from(DATES))
            visit.StudyTime = draw(st.sampled_from(TIMES))
            visit.AccessionNumber = draw(st.sampled_from(TEXTS[charset]))
            visit.StudyID = draw(st.sampled_from(("1", "01", "")))
            visit.StudyDescription = draw(st.sampled_from(TEXTS[charset]))
            visit.ReferringPhysicianName = draw(st.sampled_from(NAMES[charset]))
            if draw(st.booleans()):
                visit.ProcedureCodeSequence = [
                    _code(draw(st.sampled_from("XY")), draw(st.sampled_from(("99A", "99B"))))
                    for _ in range(draw(st.integers(0, 2)))
                ]
            for series in range(draw(st.integers(1, 2))):
                run = Dataset()
                run.update(visit)
                run.SeriesInstanceUID = f"1.2.{patient}.{study}.{series}"
                run.Modality = draw(st.sampled_from(("CT", "MR", "PT", "")))
                run.SeriesNumber = draw(st.sampled_from((1, 7, None)))
                run.SeriesDescription = draw(st.sampled_from(TEXTS[charset]))
                if draw(st.booleans()):
                    run.Manufacturer = draw(st.sampled_from(TEXTS[charset]))
                for number in range(draw(st.integers(1, 2))):
                    image = Dataset()
                    image.update(run)
                    image.SOPInstanceUID = f"1.2.{patient}.{study}.{series}.{number}"
                    image.SOPClassUID = draw(st.sampled_from((CT, MR)))
                    image.InstanceNumber = draw(st.sampled_from((1, 2, None)))
                    image.ImageType = ["ORIGINAL", draw(st.sampled_from(("PRIMARY", "OTHER")))]
                    if draw(st.booleans()):
                        image.Rows = draw(st.sampled_from((64, 512)))
                    found.append(image)
    return draw(st.permutations(found))


def _code(value: str, scheme: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = value, scheme
    return item


_NAME_KEYS = ("", "*", "Doe^Jane", "doe*", "D?e*", "M?ller*", "*山田*", "=山田*", "Stra?e*", '""')
_TEXT_KEYS = ("", "*", "A1", "a1", "A*", "?b", "Ä?", "部?", "A?1", '""', "A1\\A2")
_DATE_KEYS = ("", "20060705", "20060705-20060706", "-20060705", "20060706-", '""')
_TIME_KEYS = ("", "100000", "1000-1800", "-1200", "1200-", "18", '""')
KEYS: dict[str, tuple[Any, ...]] = {
    "PatientName": _NAME_KEYS,
    "PatientID": ("", "P1*", "P10", "p?0", "X1", "*"),
    "PatientBirthDate": _DATE_KEYS,
    "PatientSex": ("", "M", '""', "?"),
    "PatientComments": _TEXT_KEYS,
    "StudyInstanceUID": ("", "1.2.0.0", "1.2.0.0\\1.2.1.1", "1.2.9.9"),
    "StudyDate": _DATE_KEYS,
    "StudyTime": _TIME_KEYS,
    "AccessionNumber": _TEXT_KEYS,
    "StudyID": ("", "1", "0?", "*1"),
    "StudyDescription": _TEXT_KEYS,
    "ReferringPhysicianName": _NAME_KEYS,
    "ModalitiesInStudy": ("", "CT", "CT\\MR", "C*", '""'),
    "NumberOfStudyRelatedSeries": ("",),
    "NumberOfStudyRelatedInstances": ("", "2"),
    "SeriesInstanceUID": ("", "1.2.0.0.0", "1.2.0.0.0\\1.2.0.1.1"),
    "Modality": ("", "CT", "?T", "ct", '""'),
    "SeriesNumber": ("", "1", "+7"),
    "SeriesDescription": _TEXT_KEYS,
    "NumberOfSeriesRelatedInstances": ("", "1"),
    "Manufacturer": _TEXT_KEYS,
    "SOPInstanceUID": ("", "1.2.0.0.0.0", "1.2.0.0.0.0\\1.2.0.0.0.1"),
    "SOPClassUID": ("", CT),
    "InstanceNumber": ("", "1", "02"),
    "Rows": (None, 64),
    "ImageType": ("", "OTHER", "ORIGINAL\\PRIMARY", "O*"),
}


@st.composite
def identifiers(draw: st.DrawFn) -> tuple[str, str, Dataset, Negotiated]:
    root = draw(st.sampled_from(("patient", "study")))
    levels = LEVELS if root == "patient" else LEVELS[1:]
    level = draw(st.sampled_from(levels))
    negotiated = Negotiated(*(draw(st.booleans()) for _ in range(4)))
    keys = Dataset()
    keys.SpecificCharacterSet = "ISO_IR 192"
    keys.QueryRetrieveLevel = level
    chosen = draw(st.lists(st.sampled_from(sorted(KEYS)), max_size=7, unique=True))
    for keyword in chosen:
        setattr(keys, keyword, draw(st.sampled_from(KEYS[keyword])))
    if draw(st.integers(0, 3)) == 0:
        item = Dataset()
        item.CodeValue = draw(st.sampled_from(("", "X")))
        item.CodingSchemeDesignator = draw(st.sampled_from(("", "99A", "99*")))
        keys.ProcedureCodeSequence = [item]
    if not negotiated.relational and draw(st.integers(0, 9)):
        # Mostly identifiers that keep the rules of hierarchical queries.
        from tests.archive.query_reference import HOME

        above = levels[: levels.index(level)]
        for each in above:
            for keyword in HOME[each] & {*KEYS, "ProcedureCodeSequence"}:
                if keyword in keys:
                    delattr(keys, keyword)
        if root == "study" and level != "STUDY":
            for keyword in HOME["PATIENT"] & set(KEYS):
                if keyword in keys:
                    delattr(keys, keyword)
        values = {
            "PatientID": draw(st.sampled_from(("P10", "P11", "X00"))),
            "StudyInstanceUID": draw(st.sampled_from(("1.2.0.0", "1.2.1.0"))),
            "SeriesInstanceUID": draw(st.sampled_from(("1.2.0.0.0", "1.2.0.0.1"))),
        }
        for each in above:
            setattr(keys, UNIQUE[each], values[UNIQUE[each]])
    return root, level, keys, negotiated


def encoded(keys: Dataset, syntax: str) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian = True
    buffer.is_implicit_VR = syntax == ImplicitVRLittleEndian
    write_dataset(buffer, keys, parent_encoding="utf-8")
    return buffer.getvalue()


def decoded(data: bytes, syntax: str) -> Dataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    held = dcmread(io.BytesIO(data), force=True) if not data else _read(data, syntax)
    held.decode()
    return held


def _read(data: bytes, syntax: str) -> Dataset:
    from pydicom.filereader import read_dataset

    return read_dataset(
        io.BytesIO(data),
        is_implicit_VR=syntax == ImplicitVRLittleEndian,
        is_little_endian=True,
    )


_NOTHING = Options()


def ask(
    folder: Path,
    root: str,
    keys: Dataset,
    options: Options = _NOTHING,
    *,
    syntax: str = ExplicitVRLittleEndian,
    most: int = 100,
    keep: bool = True,
) -> list[Dataset]:
    """All responses, page by page; without `keep` each page begins anew at its place."""
    question = Question(
        ROOTS[root],
        encoded(keys, syntax),
        syntax,
        "GANTRY",
        rules_for(options, None),
        options.relational,
    )
    found: list[Dataset] = []
    after: Any = ()
    while after is not None:
        if not keep:
            query_worker._under_way.clear()
        page = query_worker.query_page(str(folder), question, after, most)
        found += [decoded(each, syntax) for each in page.matches]
        after = page.next
    return found


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp())
    yield made
    shutil.rmtree(made)


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
@settings(
    max_examples=40,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    archives(),
    st.lists(identifiers(), min_size=8, max_size=12),
    st.integers(1, 5),
    st.booleans(),
    st.sampled_from((ExplicitVRLittleEndian, ImplicitVRLittleEndian)),
)
def test_the_index_answers_as_brute_force_does(
    folder: Path,
    instances: list[Dataset],
    queries: list[tuple[str, str, Dataset, Negotiated]],
    most: int,
    keep: bool,
    syntax: str,
) -> None:
    place = Path(tempfile.mkdtemp(dir=folder))
    fill(place, instances)
    reference = Archive([dcmread(each) for each in sorted(place.rglob("*.dcm"))])
    for each in reference.instances:
        each.decode()
    try:
        for root, level, keys, negotiated in queries:
            options = Options(
                relational=negotiated.relational,
                date_time=negotiated.date_time,
                empty=negotiated.empty,
                multiple=negotiated.multiple,
            )
            try:
                expected = comparable(reference.find(root, level, keys, negotiated))
            except Refused:
                with pytest.raises(PeerError) as caught:
                    ask(place, root, keys, options, syntax=syntax)
                assert caught.value.reaction.status == 0xA900  # type: ignore[union-attr]
                continue
            found = ask(place, root, keys, options, syntax=syntax, most=most, keep=keep)
            assert comparable(map(told, found)) == expected, (root, level, keys, negotiated)
            for each in found:
                assert each.QueryRetrieveLevel == level
                assert each.RetrieveAETitle == "GANTRY"
    finally:
        forget_connection(str(place))
        query_worker._under_way.clear()
        shutil.rmtree(place)
