"""The objects that are sent: valid Part 10 files of a wanted size, each with a UID of its own.

The pixel data is a hole in the file: it costs no disk here, and whoever receives it writes it out.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID, ExplicitVRLittleEndian

KIB = 1 << 10
GIB = 1 << 30
CT = "1.2.840.10008.5.1.4.1.1.2"
MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.7.2"
_UID_ROOT = "1.2.826.0.1.3680043.10.1000."
_DIGITS = 12
_UID = _UID_ROOT + "9" * _DIGITS
_FRAME = 1 << 20


@dataclass(frozen=True, slots=True)
class Load:
    """So many objects with so many bytes of pixel data each."""

    name: str
    size: int
    count: int

    @property
    def gigabytes(self) -> float:
        return self.size * self.count / 1e9


def _head(size: int) -> bytes:
    """All of the file in front of the value of Pixel Data."""
    data_set = Dataset()
    data_set.SOPClassUID = CT if size < _FRAME else MULTI_FRAME
    data_set.SOPInstanceUID = _UID
    data_set.StudyDate, data_set.StudyTime = "20260102", "030405"
    data_set.Modality = "CT" if size < _FRAME else "OT"
    data_set.PatientName, data_set.PatientID = "BENCH^NETWORK", "BENCH"
    data_set.StudyInstanceUID = UID(_UID_ROOT + "1")
    data_set.SeriesInstanceUID = UID(_UID_ROOT + "1.1")
    data_set.StudyID, data_set.AccessionNumber = "1", "A1"
    data_set.InstanceNumber = 1
    data_set.SamplesPerPixel, data_set.PhotometricInterpretation = 1, "MONOCHROME2"
    if size < _FRAME:
        data_set.Columns = 128 if size % 256 == 0 else 1
        data_set.Rows = min(65535, size // 2 // data_set.Columns)
        bits = 16
    else:
        data_set.Rows = data_set.Columns = 1024
        data_set.NumberOfFrames = size // _FRAME
        bits = 8
    data_set.BitsAllocated = data_set.BitsStored = bits
    data_set.HighBit, data_set.PixelRepresentation = bits - 1, 0
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = data_set.SOPClassUID
    meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(_UID_ROOT + "2")
    meta.FileMetaInformationVersion = b"\x00\x01"
    # Without it storescu warns of each file. pydicom puts the right number in.
    meta.FileMetaInformationGroupLength = 0
    data_set.file_meta = meta
    data_set.preamble = bytes(128)
    into = BytesIO()
    dcmwrite(into, data_set)
    # (7FE0,0010) OW, two reserved bytes, length (PS3.5 7.1.2).
    return into.getvalue() + b"\xe0\x7f\x10\x00OW\x00\x00" + size.to_bytes(4, "little")


def make_objects(folder: Path, load: Load, *, first: int = 1) -> Path:
    """Write the files of a load, with UIDs that count from `first`; the folder."""
    folder.mkdir(parents=True)
    head = _head(load.size)
    for number in range(first, first + load.count):
        uid = f"{_UID_ROOT}1{number:0{_DIGITS - 1}}"
        path = folder / f"{number:08}.dcm"
        with path.open("wb") as file:
            file.write(head.replace(_UID.encode(), uid.encode()))
            os.truncate(file.fileno(), file.tell() + load.size)
    return folder
