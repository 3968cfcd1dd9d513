"""An examination done with a barcode reader and pedals: no keyboard, no command."""

from __future__ import annotations

import os
import pty
import tty
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from agent.archive.worklist_store import add_entry
from tests.node.test_examination import Clinic
from tests.node.test_steps import until
from tests.node.test_worklist import entry
from tests.peers.dcmtk import DcmtkStoreScp


@pytest.fixture
def pacs(tmp_path: Path, start_peer: Any) -> Any:
    return start_peer(DcmtkStoreScp(tmp_path / "pacs"))


def test_a_code_begins_pedals_capture_and_a_code_ends(tmp_path: Path, pacs: Any) -> None:
    fifo = tmp_path / "operator"
    more = (
        '[[serial]]\nname = "desk"\nkind = "simulator"\nclip = 4\n'
        'actions = { left = "still", right = "clip", middle = "finish" }\n'
        f'[serial.settings]\nfifo = "{fifo}"\n'
        'patterns = ["OP(?P<OperatorsName>.+)", "(?P<AccessionNumber>A[0-9]+)"]\n'
        '[panel]\nkind = "simulator"\n'
    )
    with Clinic(tmp_path, pacs.port, more) as clinic:
        add_entry(str(clinic.worklist), entry(1))
        until(fifo.exists, lambda: clinic.box.log)

        def do(*words: str) -> None:
            with fifo.open("w") as pipe:
                pipe.write("".join(f"{each}\n" for each in words))

        do("press left")
        until(lambda: "operator's act failed" in clinic.box.log, lambda: clinic.box.log)
        do("read nonsense", "read OPNurse^Ann", "read A1")
        until(lambda: len(clinic.steps.said) == 1, lambda: clinic.box.log)
        do("press left", "press right", "press left")
        received = pacs.wait_for_files(3)
        do("press middle")
        until(lambda: len(clinic.steps.said) == 2, lambda: clinic.box.log)
        assert "code not understood" in clinic.box.log
    change = clinic.steps.said[1][2]
    (series,) = change.PerformedSeriesSequence
    assert str(series.OperatorsName) == "Nurse^Ann"
    frames = sorted(int(dcmread(path).get("NumberOfFrames", 1)) for path in received)
    assert frames == [1, 1, 4]


def test_a_reader_on_a_real_port_may_come_late_and_go(tmp_path: Path, pacs: Any) -> None:
    port = tmp_path / "ttyREADER"
    more = (
        '[[serial]]\nname = "reader"\nkind = "code-reader"\n'
        f'[serial.settings]\nport = "{port}"\npatterns = ["(?P<PatientID>P.*)"]\n'
    )

    def plug() -> int:
        far, near = pty.openpty()
        tty.setraw(near)
        port.unlink(missing_ok=True)
        port.symlink_to(os.ttyname(near))
        os.close(near)
        return far

    with Clinic(tmp_path, pacs.port, more) as clinic:
        add_entry(str(clinic.worklist), entry(1))
        until(lambda: "port away" in clinic.box.log, lambda: clinic.box.log)
        far = plug()
        until(lambda: "port there" in clinic.box.log, lambda: clinic.box.log)
        os.close(far)
        until(lambda: clinic.box.log.count("port away") == 2, lambda: clinic.box.log)
        far = plug()
        until(lambda: clinic.box.log.count("port there") == 2, lambda: clinic.box.log)
        os.write(far, b"P1\r\n")
        until(lambda: clinic.steps.said, lambda: clinic.box.log)
        assert clinic.exam("list")["items"][0]["patient_id"] == "P1"
        os.close(far)
