"""Files of worklist entries, as anybody puts them into the folder (PS3.4 K, PS3.18 F)."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from agent.archive.matching_rules import MatchingRules
from agent.archive.worklist_store import find_entries
from agent.dataset.attributes import Attributes
from agent.dataset.attributes_encoding import encode_attributes
from agent.dataset.file_meta import encode_file_meta
from agent.dataset.json_model import to_json
from agent.dataset.transfer_syntaxes import by_name
from agent.errors import GantryError
from tests.fuzz.target import Target

_EXPLICIT = by_name("explicit")
_ASKED = encode_attributes(
    Attributes(
        PatientName="*",
        PatientID="",
        RequestedProcedureDescription="",
        PatientSize="",
        ScheduledProcedureStepSequence=[
            Attributes(
                Modality="", ScheduledProcedureStepStartDate="19000101-", ScheduledStationAETitle=""
            )
        ],
    ),
    _EXPLICIT,
)


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="fuzz"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "good.json").write_text(json.dumps(to_json(example_entry())))
    return folder


def example_entry() -> Attributes:
    """One with all that a worklist must have."""
    return Attributes(
        SpecificCharacterSet="ISO_IR 192",
        PatientName="Müller^Jürgen=山田^太郎",
        PatientID="4711",
        PatientSize="1.80",
        StudyInstanceUID="1.2.3",
        RequestedProcedureID="R1",
        RequestedProcedureDescription="Ultrasound",
        ScheduledProcedureStepSequence=[
            Attributes(
                ScheduledStationAETitle="ROOM1",
                ScheduledProcedureStepStartDate="20260102",
                ScheduledProcedureStepStartTime="0815",
                Modality="US",
                ScheduledProcedureStepID="S1",
            )
        ],
    )


def run(data: bytes) -> None:
    """The first byte chooses the form. Whatever one file is, the others are answered from."""
    if not data:
        return
    path = _folder() / ("bad.json" if data[0] & 1 else "bad.wl")
    path.write_bytes(data[1:])
    try:
        found = find_entries(str(_folder()), "", _ASKED, MatchingRules(unknown_matches=False))
    except GantryError as error:
        raise AssertionError("one file spoils the worklist") from error
    finally:
        path.unlink()
    assert found.matches


def seeds() -> Iterator[bytes]:
    """An entry in both forms, several in an array, and what a person writes by hand."""
    entry = to_json(example_entry())
    meta = encode_file_meta(
        sop_class_uid="1.2.840.10008.5.1.4.31",
        sop_instance_uid="1.2.3",
        transfer_syntax_uid=_EXPLICIT.uid,
        implementation_class_uid="1.2.3",
    )
    by_hand = {"PatientName": "A^B", "PatientID": 1, "ScheduledProcedureStepSequence": [{}]}
    yield b"\x00" + meta + encode_attributes(example_entry(), _EXPLICIT)
    for each in (entry, [entry, entry], by_hand, [1], {"00080005": {"vr": "US", "Value": [1e400]}}):
        yield b"\x01" + json.dumps(each).encode()
    for vr in ("US", "FD", "AT", "DS", "SQ", "PN", "OB", "UN", "XX"):
        odd = {**entry, "00101020": {"vr": vr, "Value": [1, "x", None, {}, 10**20]}}
        yield b"\x01" + json.dumps(odd).encode()
    yield b"\x01" + b"[" * 60000


TARGET = Target(run, seeds)
