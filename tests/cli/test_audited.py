"""Commands that work beside the node are audited: by its queue, or by the journal."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from agent.cli import audited
from agent.cli.command_line import main
from agent.security.audit_message import AuditMessage
from agent.security.audit_reading import faults_of, read_message
from tests.node.audit_heard import all_are_valid, heard, kept_here, wait_for
from tests.node.running import NodeProcess
from tests.peers.process import free_port, wait_until

pytestmark = pytest.mark.peer
CT = Path(str(get_testdata_file("CT_small.dcm")))
WHO = getpass.getuser()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    services = '[[entity.service]]\nname = "query"\n[[entity.service]]\nname = "get"\n'
    folder = tmp_path_factory.mktemp("audited") / "node"
    with NodeProcess(folder, f"{services}{kept_here()}") as running:
        yield running


def into(node: NodeProcess) -> list[str]:
    return ["--audit-into", str(node.folder / "state")]


def command(*words: str | Path) -> int:
    """The exit status of a command, here."""
    return main([str(each) for each in words])


def asked_by_me(message: AuditMessage) -> bool:
    """Whether the person who runs the tests asked for it, and nobody else did."""
    asking = [each for each in message.participants if each.requestor]
    return [(each.user_id, each.alternative) for each in asking] == [(WHO, f"uid={os.getuid()}")]


def mine(node: NodeProcess, event: str, number: int = 1) -> list[AuditMessage]:
    """Messages of commands, once there are so many."""

    def found() -> list[AuditMessage]:
        return [each for each in heard(node, event) if asked_by_me(each)]

    wait_until(lambda: len(found()) >= number, f"{number} of {event}")
    return found()


def test_what_is_sent_asked_for_and_fetched_names_the_person(
    node: NodeProcess, tmp_path: Path
) -> None:
    made = dcmread(CT)
    at, called = f"127.0.0.1:{node.port}", ["--called", "GANTRY", *into(node)]
    assert command("send", at, CT, *called) == 0
    (sent,) = mine(node, "DICOM Instances Transferred")
    assert (sent.action, sent.outcome) == ("R", 0)
    assert [each.roles[0].meaning for each in sent.participants[:2]] == [
        "Source Role ID",
        "Destination Role ID",
    ]
    assert sent.participants[1].user_id == "GANTRY"
    assert sent.objects[0].identifier == made.StudyInstanceUID
    assert sent.objects[0].sop_classes == ((made.SOPClassUID, 1),)
    assert (sent.objects[1].identifier, sent.objects[1].name) == (made.PatientID, made.PatientName)
    assert command("find", at, "--level", "STUDY", f"PatientID={made.PatientID}", *called) == 0
    query = mine(node, "Query")[0]
    assert query.objects[0].query and made.PatientID.encode() in query.objects[0].query
    study = f"StudyInstanceUID={made.StudyInstanceUID}"
    assert command("get", at, study, "--into", tmp_path / "got", *called) == 0
    got = mine(node, "DICOM Instances Transferred", 2)[1]
    assert (got.action, got.participants[1].user_id) == ("C", "GANTRY")
    assert got.objects == sent.objects


def test_what_could_not_be_sent_is_a_failure(node: NodeProcess, tmp_path: Path) -> None:
    before = len(mine(node, "DICOM Instances Transferred", 0))
    # Where nobody is, nothing begins.
    assert command("send", f"127.0.0.1:{free_port()}", CT, *into(node)) == 3
    made = dcmread(CT)
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = "1.2.3.4.5"
    made.save_as(tmp_path / "private.dcm")
    at = f"127.0.0.1:{node.port}"
    words = ["--called", "GANTRY", *into(node)]
    assert command("send", at, tmp_path / "private.dcm", CT, *words) == 1
    failed, sent = mine(node, "DICOM Instances Transferred", before + 2)[before:]
    assert (failed.outcome, sent.outcome) == (8, 0)
    assert "does not take this SOP class" in failed.description
    assert failed.objects[0].sop_classes == (("1.2.3.4.5", 1),)


def test_media_copies_and_what_is_shown_are_told_of(node: NodeProcess, tmp_path: Path) -> None:
    made = dcmread(CT)
    assert command("media", "create", tmp_path / "disc", CT, *into(node)) == 0
    (export,) = mine(node, "Export")
    assert export.participants[1].user_id == (tmp_path / "disc").as_uri()
    assert [each.identifier for each in export.objects] == [made.StudyInstanceUID, made.PatientID]
    assert command("dump", CT, *into(node)) == 0
    assert command("deidentify", CT, tmp_path / "plain.dcm", *into(node)) == 0
    shown, taken = mine(node, "DICOM Instances Accessed", 2)
    assert (shown.action, shown.description) == ("R", "shown")
    assert (taken.action, taken.description) == ("R", "de-identified")
    assert shown.objects == taken.objects
    assert shown.objects[1].name == made.PatientName


def test_keys_and_trust_that_change_are_alerts(node: NodeProcess, tmp_path: Path) -> None:
    words = ["keys", "create", "none", "--config", str(node.configuration), *into(node)]
    assert command(*words) == 2
    (failed,) = mine(node, "Security Alert")
    assert failed.types[0].meaning == "Security Configuration"
    assert failed.outcome == 4
    assert failed.description.startswith("Key none: create failed: there is no key none")
    assert command("keys", "list", "--config", node.configuration, *into(node)) == 0
    assert len(mine(node, "Security Alert")) == 1


def test_a_node_that_does_not_run_tells_when_it_does(node: NodeProcess, tmp_path: Path) -> None:
    """The last of them; what is no audit message is said, and does not come again."""
    before = len(mine(node, "DICOM Instances Accessed", 0))
    node.stop()
    assert command("dump", CT, *into(node)) == 0
    waiting = node.folder / "state" / "audit" / "told"
    assert len(list(waiting.iterdir())) == 1
    (waiting / "0.xml").write_text("<!DOCTYPE x><AuditMessage/>")
    (waiting / "1.xml").symlink_to(node.configuration)
    node.start()
    assert len(mine(node, "DICOM Instances Accessed", before + 1)) == before + 1
    wait_until(lambda: not list(waiting.iterdir()), "all are taken")
    assert node.log.count("a command told nothing that can be audited") == 2
    assert wait_for(node, "Application Activity", number=3)
    all_are_valid(node, tmp_path / "judged")
    assert "audit message is wrong" not in node.log


def test_without_an_audit_trail_the_journal_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audited, "JOURNAL", tmp_path / "journal")
    words = ["dump", str(CT), "--audit-into", str(tmp_path)]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(tmp_path / "journal"))
        journal.settimeout(5)
        assert main(words) == 0
        said = journal.recv(1 << 16)
    fields = dict(line.split(b"=", 1) for line in said.splitlines() if b"=" in line[:30])
    assert fields[b"SYSLOG_FACILITY"] == b"10"
    xml = fields[b"MESSAGE"]
    assert list(faults_of(xml)) == []
    assert asked_by_me(read_message(xml))
    # A journal that is gone, and none at all, stop nobody.
    assert main(words) == 0
    monkeypatch.setattr(audited, "JOURNAL", tmp_path / "none")
    assert main(words) == 0
    assert "command not audited" in capsys.readouterr().err
