"""Records of a running node go when their time is over: steps, examinations, worklist entries."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from agent.archive.worklist_store import add_entry
from agent.errors import GantryError
from tests.node.test_examination import Clinic
from tests.node.test_steps import until
from tests.node.test_worklist import entry
from tests.peers.dcmtk import DcmtkStoreScp

_DAYS = 200 * 86400


@pytest.fixture
def pacs(tmp_path: Path, start_peer: Any) -> Any:
    return start_peer(DcmtkStoreScp(tmp_path / "pacs"))


def grow_old(folder: Path) -> None:
    (index,) = folder.rglob("index.sqlite")
    with sqlite3.connect(index, timeout=10) as connection:
        for table in ("step", "examination"):
            connection.execute(f"UPDATE {table} SET changed = changed - ?", (_DAYS,))


def test_what_is_over_goes_and_what_is_open_or_unreported_stays(tmp_path: Path, pacs: Any) -> None:
    with Clinic(tmp_path, pacs.port) as clinic:
        old = entry(1, ScheduledProcedureStepStartDate="20250101")
        written = clinic.worklist / add_entry(str(clinic.worklist), old)
        os.utime(written, (time.time() - _DAYS,) * 2)
        for number in (2, 3):
            add_entry(str(clinic.worklist), entry(number))
        over = clinic.start(2)
        clinic.exam("capture")
        clinic.exam("finish")
        pacs.wait_for_files(1)
        until(lambda: len(clinic.steps.said) == 2, lambda: clinic.box.log)
        until(lambda: not clinic.box.ask("queue")["items"], lambda: clinic.box.log)
        clinic.steps.stop()
        unreported = clinic.start(3)
        clinic.exam("finish")
        begun = clinic.exam("start", emergency=True, keys={"PatientName": "Unknown"})
        grow_old(tmp_path / "box")
        clinic.box.ask("tidy")
        left = [each["id"] for each in clinic.exam("list")["items"]]
        assert left == [begun["id"], unreported["id"]]
        with pytest.raises(GantryError, match="there is no examination"):
            clinic.exam("show", id=over["id"])
        assert len(clinic.box.objects()) == 1
        clinic.steps.start()
        until(lambda: len(clinic.steps.said) == 5, lambda: clinic.box.log)
        clinic.exam("finish")
        until(lambda: not clinic.box.ask("queue")["items"], lambda: clinic.box.log)
        grow_old(tmp_path / "box")
        clinic.box.ask("tidy")
        assert clinic.exam("list")["items"] == []
        assert "records forgotten" in clinic.box.log
        clinic.ris.ask("tidy")
        assert not written.exists()
        assert len(list(clinic.worklist.glob("*.json"))) == 2
