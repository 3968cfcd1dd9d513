"""Devices by which the box is operated come and go while it runs, and may hang or die."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import tty
from pathlib import Path
from typing import Any

import pytest

from agent.archive.worklist_store import add_entry
from tests.node.running import NodeProcess
from tests.node.test_examination import Clinic
from tests.node.test_steps import until
from tests.node.test_worklist import entry
from tests.peers.dcmtk import DcmtkStoreScp


@pytest.fixture
def pacs(tmp_path: Path, start_peer: Any) -> Any:
    return start_peer(DcmtkStoreScp(tmp_path / "pacs"))


def worker_of(device: str, box: NodeProcess) -> int:
    """The process in which the device lives, among those of the node's session."""
    assert box.process is not None
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            name = (place / "comm").read_text().strip()
            session = int((place / "stat").read_text().rpartition(")")[2].split()[3])
            if session == box.process.pid and name == f"serial {device}"[:15]:
                return int(place.name)
    raise AssertionError(f"no worker of {device}")


def reload(clinic: Clinic, text: str) -> None:
    clinic.box.configuration.write_text(text)
    clinic.box.reload()


def test_devices_and_panel_come_change_and_go_with_a_reload(tmp_path: Path, pacs: Any) -> None:
    fifo, port = tmp_path / "operator", tmp_path / "ttyREADER"
    far, near = pty.openpty()
    tty.setraw(near)
    port.symlink_to(os.ttyname(near))
    os.close(near)

    def tables(action: str, pattern: str, chip: str) -> str:
        return (
            '[[serial]]\nname = "desk"\nkind = "simulator"\n'
            f'actions = {{ left = "{action}" }}\n[serial.settings]\nfifo = "{fifo}"\n'
            f'[[serial]]\nname = "reader"\nkind = "code-reader"\n[serial.settings]\n'
            f'port = "{port}"\npatterns = ["{pattern}"]\n[panel]\nkind = "gpio"\n'
            f'[panel.settings]\nchip = "{chip}"\nlamps = {{ ready = 1 }}\n'
        )

    with Clinic(tmp_path, pacs.port) as clinic:
        without = clinic.box.configuration.read_text()
        add_entry(str(clinic.worklist), entry(1))
        reload(clinic, without + tables("still", "(?P<PatientID>P.*)", "/dev/no-chip"))
        until(lambda: clinic.box.log.count("port there") == 2, lambda: clinic.box.log)
        until(lambda: "the panel cannot be used: /dev/no-chip" in clinic.box.log)
        os.write(far, b"P1\r\n")
        until(lambda: clinic.steps.said, lambda: clinic.box.log)
        fifo.write_text("press left\n")
        pacs.wait_for_files(1)
        reload(clinic, without + tables("finish", "(?P<AccessionNumber>A.*)", "/dev/none"))
        # The reader's port is exclusive: the new device finds it free.
        until(lambda: clinic.box.log.count("port there") == 4, lambda: clinic.box.log)
        assert "in use" not in clinic.box.log
        until(lambda: "the panel cannot be used: /dev/none" in clinic.box.log)
        fifo.write_text("press left\n")
        until(lambda: len(clinic.steps.said) == 2, lambda: clinic.box.log)
        os.write(far, b"P1\r\nA1\r\n")
        until(lambda: len(clinic.steps.said) == 3, lambda: clinic.box.log)
        assert clinic.box.log.count("code not understood") == 1
        reload(clinic, without)
        with pytest.raises(AssertionError, match="no worker"):
            worker_of("desk", clinic.box)
        with pytest.raises(OSError, match="No such device or address"):
            os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
    os.close(far)


def test_a_device_that_hangs_or_dies_holds_up_nothing_else(tmp_path: Path, pacs: Any) -> None:
    fifo = tmp_path / "operator"
    more = (
        '[[serial]]\nname = "desk"\nkind = "simulator"\n'
        f'[serial.settings]\nfifo = "{fifo}"\npatterns = ["(?P<AccessionNumber>A[0-9]+)"]\n'
    )
    with Clinic(tmp_path, pacs.port, more) as clinic:
        add_entry(str(clinic.worklist), entry(1))
        until(lambda: "port there" in clinic.box.log, lambda: clinic.box.log)
        worker = worker_of("desk", clinic.box)
        os.kill(worker, signal.SIGSTOP)
        with fifo.open("w") as pipe:
            pipe.write("read A1\n")
            pipe.flush()
            clinic.box.ask("status")
            assert clinic.steps.said == []
            os.kill(worker, signal.SIGCONT)
            until(lambda: clinic.steps.said, lambda: clinic.box.log)
        os.kill(worker, signal.SIGKILL)
        until(lambda: clinic.box.log.count("port there") == 2, lambda: clinic.box.log)
        fifo.write_text("press left\n")
        pacs.wait_for_files(1)
        # One that does not even end is left behind, and the configuration is followed.
        os.kill(worker_of("desk", clinic.box), signal.SIGSTOP)
        reload(clinic, clinic.box.configuration.read_text().replace('"desk"', '"desk2"'))
        until(lambda: clinic.box.log.count("port there") == 3, lambda: clinic.box.log)
