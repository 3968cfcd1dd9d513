"""The colour palettes of PS3.6 B.1, each under a UID of its own: nobody has to store them.

Their instances come with pydicom. What is stored in an archive under one of these UIDs goes first.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from agent.archive.object_models import COLOR_PALETTE
from agent.archive.records import Flag, Instance
from agent.dataset.file_meta import read_file_meta
from agent.errors import GantryError

_FILES: Mapping[str, str] = {
    "1.2.840.10008.1.5.1": "hotiron.dcm",
    "1.2.840.10008.1.5.2": "pet.dcm",
    "1.2.840.10008.1.5.3": "hotmetalblue.dcm",
    "1.2.840.10008.1.5.4": "pet20step.dcm",
    "1.2.840.10008.1.5.5": "spring.dcm",
    "1.2.840.10008.1.5.6": "summer.dcm",
    "1.2.840.10008.1.5.7": "fall.dcm",
    "1.2.840.10008.1.5.8": "winter.dcm",
}

WELL_KNOWN_PALETTES = tuple(_FILES)


@functools.cache
def well_known_palettes() -> Mapping[str, Instance]:
    """The palettes that can be had here, by SOP Instance UID; their `id` is 0."""
    found = {}
    for uid, name in _FILES.items():
        made = _instance(uid, name)
        if made is not None:
            found[uid] = made
    return found


def _instance(uid: str, name: str) -> Instance | None:
    # Found without importing it: it takes 16 MiB.
    package = find_spec("pydicom")
    if package is None or package.origin is None:
        return None
    path = Path(package.origin).parent / "data" / "palettes" / name
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        meta = read_file_meta(descriptor)
        size = os.fstat(descriptor).st_size
    except (GantryError, OSError):
        return None
    finally:
        os.close(descriptor)
    (sop_class_uid,) = COLOR_PALETTE.stored
    return Instance(
        id=0,
        sop_instance_uid=uid,
        sop_class_uid=sop_class_uid,
        transfer_syntax_uid=meta.transfer_syntax_uid,
        instance_number="",
        number_of_frames="",
        study_instance_uid="",
        series_instance_uid="",
        data_set_offset=meta.data_set_offset,
        size=size,
        received=0.0,
        source="",
        flags=Flag(0),
        path=str(path),
    )
