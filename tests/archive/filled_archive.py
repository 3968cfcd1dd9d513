"""An archive filled at once with data sets of pydicom: files and rows, without a worker."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from agent.archive.index import Index
from agent.archive.instances import InstanceRows, NewInstance
from agent.archive.keys import INDEXED, keys_of
from agent.archive.layout import object_path
from agent.dataset.byte_source import FileBytes
from agent.dataset.file_meta import read_file_meta
from agent.dataset.head import scan_head


def fill(folder: Path, instances: Iterable[Dataset], *, files: bool = True) -> None:
    """Numbers are given in the order of the data sets, from 1."""
    folder.mkdir(parents=True, exist_ok=True)
    index = Index.open(folder)
    index.execute("PRAGMA synchronous = OFF")
    rows = InstanceRows(index)
    with index.transaction():
        for number, instance in enumerate(instances, 1):
            path = object_path(folder, number)
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path, instance)
            with path.open("rb") as file:
                meta = read_file_meta(file.fileno())
                head = scan_head(
                    FileBytes(file.fileno(), meta.data_set_offset), meta.encoding, INDEXED
                )
            rows.add(
                NewInstance(
                    number=number,
                    keys=keys_of(head),
                    transfer_syntax_uid=meta.transfer_syntax_uid,
                    data_set_offset=meta.data_set_offset,
                    size=path.stat().st_size,
                    received=1e9 + number,
                    source="TEST",
                )
            )
            if not files:
                path.unlink()
        index.set_state(last_number=number)
    index.close()


def write(path: Path, instance: Dataset) -> None:
    """A Part 10 file."""
    instance.file_meta = FileMetaDataset()
    instance.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    instance.file_meta.MediaStorageSOPClassUID = instance.SOPClassUID
    instance.file_meta.MediaStorageSOPInstanceUID = instance.SOPInstanceUID
    instance.save_as(path, enforce_file_format=True)


def multiply(folder: Path, studies: int) -> None:
    """Add so many studies of one instance each: rows alone, without files."""
    index = Index.open(folder)
    index.execute("PRAGMA synchronous = OFF")
    numbers = "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number LIMIT ?)"
    columns = {
        table: [row[1] for row in index.execute(f"PRAGMA table_info({table})").fetchall()]
        for table in ("study", "series", "instance")
    }
    uid = "'1.2.8.' || n"
    new = {
        "study": {"id": "n + 100000", "study_instance_uid": uid, "series": "1", "instances": "1"},
        "series": {"id": "n + 100000", "study": "n + 100000", "series_instance_uid": uid},
        "instance": {
            "id": "n + 100000",
            "study": "n + 100000",
            "series": "n + 100000",
            "sop_instance_uid": uid,
        },
    }
    with index.transaction():
        for table, names in columns.items():
            values = ", ".join(new[table].get(each, f"{table}.{each}") for each in names)
            index.execute(
                f"INSERT INTO {table} {numbers} SELECT {values} FROM number, {table}"
                f" WHERE {table}.id = (SELECT min(id) FROM {table})",
                (studies,),
            )
        index.set_state(last_number=studies + 100000)
    index.close()
