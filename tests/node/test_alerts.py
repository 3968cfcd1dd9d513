"""Alerts of a running node, to a mail server (aiosmtpd) and to rsyslog."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

import pytest
from pydicom import dcmread, dcmwrite
from pydicom.data import get_testdata_file

from agent.workflow.health import keep_health
from tests.cli_of import gantry
from tests.node.moved_clock import MovedClock
from tests.node.running import NodeProcess, free_port, peer_table
from tests.node.test_steps import until
from tests.peers.dcmtk import DcmtkStoreScp, storescu
from tests.peers.mail_server import MailServer
from tests.peers.programs import missing
from tests.peers.rsyslog import Rsyslog
from tests.peers.rsyslog import shared_repository as shared_repository

pytestmark = pytest.mark.peer

HOUR = 3600.0
TO = "support@clinic.example"


@dataclass
class House:
    """A node that tells, and those whom it tells."""

    node: NodeProcess
    clock: MovedClock
    mails: MailServer
    syslog: Rsyslog
    folder: Path
    port: int

    def configure(self, more: str, archive: str = "") -> None:
        own = self.syslog.certificates.client
        self.node.write(
            f"{peer_table('PACS', self.port)}{archive}"
            f'[alerts]\nlook = "1 s"\nundelivered = "4 h"\n{more}'
            f'[alerts.mail]\nhost = "localhost"\nport = {self.mails.port}\nsecurity = "none"\n'
            f'from = "box@clinic.example"\nto = ["{TO}"]\n'
            f'[[alerts.syslog]]\nname = "central"\naddress = "localhost:{self.syslog.port}"\n'
            f'[alerts.syslog.tls]\ntrust = ["{self.syslog.certificates.authority}"]\n'
            f'certificate = "{own.certificate}"\nprivate_key = "{own.key}"\n'
            f'[[alerts.syslog]]\nname = "near"\ntransport = "udp"\n'
            f'address = "127.0.0.1:{self.syslog.udp_port}"\n'
        )

    def told(self, text: str) -> list[EmailMessage]:
        return [each for each in self.mails.mails if text in str(each.get_content())]

    def waits(self, holds: Callable[[], object]) -> None:
        until(holds, lambda: f"{self.node.log}\n{[str(each) for each in self.mails.mails]}")

    def looks(self, times: int = 2) -> None:
        """Until the node has looked so often again, and told what there was to tell."""
        end = self.count() + times
        while self.count() < end:
            self.clock.advance(2.0)

    def count(self) -> int:
        figures = str(self.node.ask("metrics"))
        found = re.search(r"^gantry_alert_looks_total ([0-9]+)", figures, re.MULTILINE)
        return int(found[1]) if found else 0


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, shared_repository: Rsyslog) -> Iterator[House]:
    if not Path("/usr/lib/python3/dist-packages/aiosmtpd").exists():
        missing("aiosmtpd", "apt-get install python3-aiosmtpd, or './gantry test' as root")
    folder = tmp_path_factory.mktemp("alerts")
    node = NodeProcess(folder / "node")
    clock = MovedClock(node)
    with MailServer(folder / "mails") as mails:
        house = House(node, clock, mails, shared_repository, folder, free_port())
        house.configure('left_out = ["clock", "disk"]\n')
        with node:
            yield house


def test_what_is_undelivered_for_hours_is_told_once_and_once_more_when_it_is_over(
    house: House,
) -> None:
    node = house.node
    file = house.folder / "object.dcm"
    patient = dcmread(str(get_testdata_file("CT_small.dcm")))
    patient.PatientName, patient.PatientID = "Mustername^Heinz", "PAT554433"
    dcmwrite(file, patient)
    storescu(node.port, file).check()
    until(lambda: "delivery failed" in node.log, lambda: node.log)
    house.clock.advance(3 * HOUR)
    house.looks()
    assert house.mails.files == []
    house.clock.advance(2 * HOUR)
    house.waits(lambda: len(house.told("PACS: 1 jobs")) == 1)
    house.waits(lambda: any("undelivered begun: PACS" in each for each in house.syslog.lines()))
    house.waits(
        lambda: any("undelivered begun: PACS" in each for each in house.syslog.lines("udp"))
    )
    (mail,) = house.mails.mails
    assert mail["To"] == TO
    assert mail["Auto-Submitted"] == "auto-generated"
    assert "the oldest for 5 hours" in str(mail["Subject"])
    # A restart tells it to nobody again.
    house.waits(lambda: node.log.count("alerts told") == 3)
    node.kill()
    node.start()
    assert [each["alert"] for each in _alerts(house)] == ["undelivered main PACS"]
    house.looks(3)
    assert len(house.mails.files) == 1
    # A day later it is told that it goes on; when the peer is there again, that it is over.
    house.clock.advance(25 * HOUR)
    house.waits(lambda: len(house.told("Still so:")) == 1)
    with DcmtkStoreScp(house.folder / "scp", port=house.port):
        house.clock.advance(HOUR)
        node.wait_until_delivered("PACS")
        house.looks(3)
        house.waits(lambda: len(house.told("Over:")) == 1)
        house.waits(lambda: any("undelivered over: PACS" in each for each in house.syslog.lines()))
    assert node.ask("status")["alerts"] == []
    assert len(house.mails.files) == 3
    said = "".join(
        map(str, [*house.mails.mails, *house.syslog.lines(), *house.syslog.lines("udp")])
    )
    for word in ("Mustername", "PAT554433", patient.SOPInstanceUID, patient.StudyInstanceUID):
        assert word not in said


def _alerts(house: House) -> list[dict[str, str]]:
    house.waits(lambda: house.node.ask("status")["alerts"])
    return list(house.node.ask("status")["alerts"])


def test_a_mail_server_that_is_busy_gets_the_mail_later(house: House) -> None:
    house.mails.answer(mail="451 later")
    before = len(house.mails.files)
    drop = f'[[folder]]\nname = "drop"\npath = "{house.folder}/drop"\n'
    house.configure('left_out = ["clock", "disk", "failing"]\naway = 0\n', drop)
    house.node.reload()
    house.waits(lambda: "alert not told to=mail" in house.node.log)
    house.mails.answer()
    house.clock.advance(120.0)
    house.waits(lambda: house.told("the folder drop is not there"))
    assert len(house.mails.files) == before + 1
    # What is away is back.
    (house.folder / "drop").mkdir()
    house.waits(lambda: any("Over:" in str(each.get_content()) for each in house.mails.mails[-1:]))
    assert "the folder drop is not there" in str(house.mails.mails[-1].get_content())


def test_what_the_doctor_finds_is_told(house: House) -> None:
    before = len(house.mails.files)
    words = ("--config", house.node.configuration, "--control", house.node.control, "--offline")
    done = gantry("doctor", "--keep", *words)
    faults = sum(line.startswith("!!") for line in done.output.splitlines())
    assert (done.returncode, faults > 0) == (1, True)
    house.waits(lambda: house.told(f"`gantry doctor` finds {faults} faults"))
    assert len(house.mails.files) == before + 1
    keep_health(str(house.node.folder / "state"), [])
    house.node.ask("health")
    house.waits(lambda: len(house.mails.files) == before + 2)


def test_without_anybody_to_tell_nothing_is_told_and_nothing_imported(house: House) -> None:
    house.node.write("")
    house.node.reload()
    assert house.node.ask("status")["alerts"] == []


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ('[alerts.mail]\nto = ["a@b.example"]\n', "alerts.mail.host: is empty"),
        ('[alerts.mail]\nhost = "h"\nto = ["a@b.example"]\n', "alerts.mail.from: is empty"),
        ('[[alerts.syslog]]\nname = "x"\n', "alerts.syslog.x.address: is missing"),
        ('[alerts]\nquiet = "25:00-01:00"\n', "alerts.quiet"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, table: str, problem: str) -> None:
    (tmp_path / "gantry.toml").write_text(table)
    done = gantry("config", "check", "--config", tmp_path / "gantry.toml")
    assert (done.returncode, problem in done.output) == (2, True), done.output
