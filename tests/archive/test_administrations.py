"""The journal of administrations: durable, each once, readable whatever was cut off."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from agent.archive.administrations import add_administration, administrations
from agent.archive.layout import ADMINISTRATIONS
from agent.dataset.attributes import Attributes
from agent.dataset.json_model import to_json
from agent.errors import StorageError


def record(number: int, patient: str = "P1") -> dict[str, Any]:
    given = Attributes(PatientID=patient, ProductName=f"Größe {number}")
    return {"received": float(number), "calling": "PUMP", "administration": to_json(given)}


def test_what_is_added_is_read_back_the_last_first(tmp_path: Path) -> None:
    folder = str(tmp_path)
    assert administrations(folder) == []
    told = [record(1), record(2, "P2"), record(3)]
    assert all(add_administration(folder, each) for each in told)
    assert administrations(folder) == told[::-1]
    assert administrations(folder, limit=1) == [told[2]]
    assert administrations(folder, patient_id="P2") == [told[1]]


def test_one_that_comes_again_is_recorded_once(tmp_path: Path) -> None:
    folder = str(tmp_path)
    assert add_administration(folder, record(1))
    assert not add_administration(folder, {**record(1), "received": 99.0})
    assert add_administration(folder, {**record(1), "calling": "OTHER"})
    assert len(administrations(folder)) == 2


@pytest.mark.parametrize("left", [1, 20, -2])
def test_a_line_that_was_cut_off_harms_no_other(tmp_path: Path, left: int) -> None:
    folder, path = str(tmp_path), tmp_path / ADMINISTRATIONS
    add_administration(folder, record(1))
    whole = path.read_bytes()
    path.write_bytes(whole + json.dumps(record(2)).encode()[:left])
    assert administrations(folder) == [record(1)]
    assert add_administration(folder, record(2))
    assert add_administration(folder, record(3))
    assert administrations(folder) == [record(3), record(2), record(1)]


def test_nothing_stays_of_what_the_disk_did_not_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, path = str(tmp_path), tmp_path / ADMINISTRATIONS
    add_administration(folder, record(1))
    before = path.read_bytes()

    def fail(descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(StorageError, match="full"):
        add_administration(folder, record(2))
    assert path.read_bytes() == before
