"""What a folder, or a stick, holds: the old file-set, the new one, or what is marked as unfinished.

Studies are made here too, and known by the digests of their data sets.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from agent.dataset.file_meta import read_file_meta
from agent.media.application_profiles import profile_of
from agent.media.directory_writer import Creator
from agent.media.file_set import FileSetWriter
from agent.media.found import FoundInstance
from agent.media.reading import found_in

OLD, NEW, UNFINISHED, FINISHED = "old", "new", "unfinished", "new, and its mark is there still"
MARK = "GANTRY.TMP"
LETTER = "LETTER.TXT"
"""A file of somebody else."""
SALVAGED = ".REC"
"""Of a file in which fsck.vfat puts clusters that nobody has: what was being written."""
_CREATOR = Creator("1.2.826.0.1.3680043.9.9.0", "PULLED", "")


@dataclass(frozen=True)
class Expected:
    """SOP Instance UIDs with the digests of their data sets, before and after; and the files that
    were there before, by name, with the digests of all their bytes."""

    before: Mapping[str, str]
    after: Mapping[str, str]
    files: Mapping[str, str] = field(default_factory=dict)

    def as_text(self) -> str:
        return json.dumps(asdict(self))


def made_study(folder: Path, number: int, count: int, size: int) -> dict[str, str]:
    """A file-set of one study with `count` images of `size` kilobytes; their digests."""
    # pydicom, and what only the host has, is not imported in the guest.
    from tests.media.instances import instance, save

    chance = random.Random(number)
    digests = {}
    scratch = folder.parent / f"{folder.name}.image"
    with FileSetWriter(folder, profile_of("STD-GEN-CD"), _CREATOR) as writer:
        for each in range(count):
            image = instance(
                number * 10_000 + each, study=number, series=1 + each % 3, Rows=size, Columns=512
            )
            image.PixelData = chance.randbytes(size * 1024)
            save(image, scratch)
            digests[str(image.SOPInstanceUID)] = digest_of_data_set(scratch)
            writer.add(scratch)
        writer.finish()
    scratch.unlink()
    return digests


def digest_of_data_set(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(read_file_meta(file.fileno()).data_set_offset)
        return hashlib.sha256(file.read()).hexdigest()


def digests_of_files(folder: Path) -> dict[str, str]:
    """Of all files below a folder, by name; what cannot be read or listed has none."""
    found = {}
    for place, _, names in os.walk(folder):
        for path in (Path(place, name) for name in names if not name.endswith(SALVAGED)):
            try:
                found[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
            except OSError:
                continue
    return found


def state_of(folder: Path, expected: Expected) -> str:
    """One of the states above, or in words what is wrong."""
    mark = folder / MARK
    files = digests_of_files(folder)
    if files.pop(LETTER, "") != hashlib.sha256(LETTER.encode()).hexdigest():
        return f"{LETTER} of somebody else was changed"
    # Of a torn FAT it may be there, and not let itself be asked.
    if mark in folder.iterdir():
        return _marked(folder, files, expected)
    found, why = _instances(folder)
    for name, wanted in ((OLD, expected.before), (NEW, expected.after)):
        if not why and found == wanted:
            why = _untold(folder, files) if wanted else ", ".join(files)
            if not why:
                return name
    return f"neither old nor new: {len(found)} of {len(expected.after)} objects; {why}"


def _marked(folder: Path, files: Mapping[str, str], expected: Expected) -> str:
    """What is marked can be taken back, or is whole."""
    found, why = _instances(folder)
    if not why and found == expected.after and _is_verified(folder):
        return FINISHED
    for name, digest in expected.files.items():
        held = [files.get(name)]
        if name == "DICOMDIR":
            held.append(files.get(f"{MARK}/DICOMDIR.OLD"))
        if digest not in held:
            return f"unfinished, and {name} as it was before is lost"
    return UNFINISHED


def _is_verified(folder: Path) -> bool:
    """Whether the mark says so, or is just going."""
    mark = folder / MARK
    state = mark / "STATE"
    try:
        return (mark / "VERIFIED").exists() or not state.exists() or not state.stat().st_size
    except OSError:
        # Of a FAT that failed while the mark was removed: its clusters are free already.
        return True


def _instances(folder: Path) -> tuple[dict[str, str], str]:
    found, why = {}, ""
    try:
        for each in found_in(folder):
            if isinstance(each, FoundInstance):
                found[each.sop_instance_uid] = digest_of_data_set(folder / each.file)
            else:
                why = f"{each.file}: {each.reason}"
    except Exception as error:
        why = repr(error)
    return found, why


def _untold(folder: Path, files: Mapping[str, str]) -> str:
    """Files to which the directory does not lead."""
    told = {each.file for each in found_in(folder) if isinstance(each, FoundInstance)}
    return ", ".join(sorted(files.keys() - told - {"DICOMDIR"}))
