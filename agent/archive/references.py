"""What presentation states and key object selections of a study refer to, and is not here.

A question to a reader worker: heads of such objects are read, one after the other. References
stand by study and series: in the Current Requested Procedure Evidence Sequence of a key object
selection (PS3.3 C.17.2.3), and in the Referenced Series Sequence of a presentation state (C.11.11).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from agent.archive.query_objects import read_object
from agent.archive.reader_worker import ask
from agent.dataset import tags
from agent.dataset.attributes import Attributes

_PRESENTATION_STATES = "1.2.840.10008.5.1.4.1.1.11."
_KEY_OBJECT_SELECTION = "1.2.840.10008.5.1.4.1.1.88.59"
_WANTED = frozenset(
    tags.from_text(each)
    for each in ("CurrentRequestedProcedureEvidenceSequence", "ReferencedSeriesSequence")
)
_MOST = 10_000


class Reference(NamedTuple):
    """An instance that is referred to, and where it is."""

    study: str
    series: str
    instance: str


def references(folder: str, study_instance_uid: str) -> list[Reference]:
    """Those of a study that are not in the archive; at most 10,000."""
    rows = ask(
        folder,
        "SELECT instance.id FROM instance JOIN study ON study.id = instance.study"
        " WHERE study_instance_uid = ? AND (sop_class_uid = ? OR sop_class_uid LIKE ? || '%')",
        (study_instance_uid, _KEY_OBJECT_SELECTION, _PRESENTATION_STATES),
    )
    found: dict[Reference, None] = {}
    for (number,) in rows:
        attributes = read_object(Path(folder), number, _WANTED)
        if attributes is None:
            continue
        for each in _said_by(attributes, study_instance_uid):
            if (
                len(found) < _MOST
                and all(each)
                and each not in found
                and not _is_here(folder, each)
            ):
                found[each] = None
    return list(found)


def _said_by(attributes: Attributes, study: str) -> Iterator[Reference]:
    yield from _of_series(attributes, study)
    for item in attributes.items_of("CurrentRequestedProcedureEvidenceSequence"):
        yield from _of_series(item, item.text("StudyInstanceUID"))


def _of_series(item: Attributes, study: str) -> Iterator[Reference]:
    for series in item.items_of("ReferencedSeriesSequence"):
        uid = series.text("SeriesInstanceUID")
        for name in ("ReferencedImageSequence", "ReferencedSOPSequence"):
            for each in series.items_of(name):
                yield Reference(study, uid, each.text("ReferencedSOPInstanceUID"))


def _is_here(folder: str, reference: Reference) -> bool:
    uid = reference.instance
    return bool(ask(folder, "SELECT 1 FROM instance WHERE sop_instance_uid = ? LIMIT 1", (uid,)))
