"""Keys of Type 3 that a product puts into its directories beyond its profile, and what they count.

`MX8000` is Table 7.1 of the Philips MxView statement: more attributes, the number of series and
images, and private elements of Elscint. A private element stands behind its creator in its own
group (PS3.5 7.8.1); a reader that does not know it sees a directory without it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple

from agent.dataset import tags
from agent.dataset.attributes import Attribute, Attributes
from agent.dataset.attributes_encoding import decode_attributes, encode_attributes
from agent.media.directory_records import Key
from agent.media.record_building import SYNTAX

ELSCINT_CREATOR = "ELSCINT1"
_CREATOR = 0x07A10010
_SERIES_IN_STUDY, _IMAGES_IN_SERIES = 0x07A11001, 0x07A11002
_UPDATE_TIME, _UPDATE_DATE = 0x07A11003, 0x07A11004


class ExtraKeys(NamedTuple):
    """Keywords by record type, and whether the private elements of Elscint are written."""

    keywords: Mapping[str, tuple[str, ...]]
    elscint: bool = False

    def of(self, record_type: str) -> tuple[Key, ...]:
        """As keys: each is there when the object has it."""
        return tuple(Key(each, "1C") for each in self.keywords.get(record_type, ()))

    def counted(self, record_type: str) -> Attributes:
        """The elements that count; their values come when the directory is written."""
        made = Attributes()
        for keyword in _COUNTS.get(record_type, ()):
            if self.elscint:
                made.set(keyword, "0")
        if self.elscint and record_type in _PRIVATE_COUNT:
            now = time.localtime()
            made.put(_CREATOR, Attribute("LO", (ELSCINT_CREATOR,)))
            made.put(_PRIVATE_COUNT[record_type], Attribute("UL", (0,)))
            made.put(_UPDATE_TIME, Attribute("UL", (int(time.strftime("%H%M%S", now)),)))
            made.put(_UPDATE_DATE, Attribute("UL", (int(time.strftime("%Y%m%d", now)),)))
        return made


_COUNTS = {
    "STUDY": ("NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances"),
    "SERIES": ("NumberOfSeriesRelatedInstances",),
}
_PRIVATE_COUNT = {"STUDY": _SERIES_IN_STUDY, "SERIES": _IMAGES_IN_SERIES}

NO_EXTRA_KEYS = ExtraKeys({})

MX8000 = ExtraKeys(
    {
        "STUDY": ("PatientName", "PatientID"),
        "SERIES": ("ProtocolName",),
        "IMAGE": (
            "ImageType",
            "InstanceCreationDate",
            "InstanceCreationTime",
            "SOPClassUID",
            "SOPInstanceUID",
            "ContentDate",
            "ContentTime",
            "ContrastBolusAgent",
            "GantryDetectorTilt",
            "FrameOfReferenceUID",
            "SliceLocation",
            "SamplesPerPixel",
            "Rows",
            "Columns",
            "BitsAllocated",
        ),
    },
    elscint=True,
)
"""Table 7.1; Referenced File ID in the records of studies and series is a misprint of it."""

EXTRA_KEYS: Mapping[str, ExtraKeys] = {"none": NO_EXTRA_KEYS, "mx8000": MX8000}


def recounted(content: bytes, children: int, files: int) -> bytes:
    """The content of a STUDY or SERIES record with the counts that it has put right."""
    record = decode_attributes(content, SYNTAX)
    counts: dict[int, Attribute] = {
        tags.from_text("NumberOfStudyRelatedSeries"): Attribute("IS", (str(children),)),
        tags.from_text("NumberOfStudyRelatedInstances"): Attribute("IS", (str(files),)),
        tags.from_text("NumberOfSeriesRelatedInstances"): Attribute("IS", (str(files),)),
    }
    if record.text(_CREATOR) == ELSCINT_CREATOR:
        counts[_SERIES_IN_STUDY] = Attribute("UL", (children,))
        counts[_IMAGES_IN_SERIES] = Attribute("UL", (files,))
    changed = False
    for tag, value in counts.items():
        there = record.get(tag)
        if there is not None and there.values != value.values:
            record.put(tag, value)
            changed = True
    return encode_attributes(record, SYNTAX) if changed else content
