"""The audit trail of a whole working day, validated; and what a node tells when it is attacked."""

from __future__ import annotations

import argparse
import shutil
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pynetdicom import AE
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind

from agent.cli import demo_examination, demo_media, demo_relay
from agent.cli.demo_node import DemoNode
from agent.errors import GantryError
from agent.security.audit_message import AuditMessage
from agent.security.audit_reading import faults_of, read_message
from agent.workflow.simulated_series import make_series
from tests.cli_of import gantry
from tests.node.running import NodeProcess, free_port
from tests.peers.process import wait_until
from tests.peers.raw_pdu import A_ASSOCIATE_RJ, associate_request
from tests.peers.raw_peer import RawPeer
from tests.peers.rsyslog import Rsyslog, shared_repository
from tests.security.test_audit_messages import judged

pytestmark = pytest.mark.peer


shared = shared_repository


@pytest.fixture
def repository(shared: Rsyslog) -> Rsyslog:
    shared.forget()
    return shared


def audited(repository: Rsyslog, source: str = "box", more: str = "") -> str:
    """The configuration of an audit trail that goes there."""
    files = repository.certificates
    return (
        f'[audit]\nsource = "{source}"\nsite = "General Hospital"\ngather = 0.5\n{more}'
        f'[[audit.repository]]\nname = "central"\naddress = "localhost:{repository.port}"\n'
        "confirm = 1\n[audit.repository.retry]\nfirst = 0.1\nlongest = 0.3\n"
        f'[audit.repository.tls]\ncertificate = "{files.client.certificate}"\n'
        f'private_key = "{files.client.key}"\ntrust = ["{files.authority}"]\n'
    )


def told(repository: Rsyslog, event: str, source: str = "box") -> list[AuditMessage]:
    """Messages of this event, each once; repeats have the same number."""
    seen: dict[str, AuditMessage] = {}
    for xml in repository.messages():
        if f'AuditSourceID="{source}"' in xml:
            message = read_message(xml.encode())
            if message.event.meaning == event:
                seen[xml] = message
    return list(seen.values())


def medium_of(message: AuditMessage) -> str:
    (medium,) = [each for each in message.participants if each.media]
    return medium.user_id


def identifiers(message: AuditMessage) -> list[str]:
    return [each.identifier for each in message.objects]


def all_are_valid(repository: Rsyslog, folder: Path) -> None:
    """By the schema, and by the tables of the annex."""
    messages = repository.messages()
    folder.mkdir()
    judged(folder, messages).check()
    assert [fault for each in messages for fault in faults_of(each.encode())] == []


class Examination(demo_examination.ExaminationDemo):
    """The demo, in which the repository is away while images are made and delivered."""

    def __init__(self, folder: Path, repository: Rsyslog) -> None:
        super().__init__(folder)
        self.repository = repository
        self.study = ""

    def _nodes(self) -> tuple[DemoNode, DemoNode]:
        hospital, box = super()._nodes()
        hospital.more(audited(self.repository, "hospital"))
        box.more(audited(self.repository))
        for node in (hospital, box):
            text = node.configuration.read_text()
            node.configuration.write_text(text.replace("[node]\n", "[node]\ndrain = 1\n", 1))
        return hospital, box

    def _capture(self, box: DemoNode, hospital: DemoNode) -> None:
        self.repository.kill()
        super()._capture(box, hospital)

    def _finish(self, box: DemoNode, hospital: DemoNode) -> None:
        super()._finish(box, hospital)
        self.repository.start()

    def _retain(self, box: DemoNode) -> None:
        (exam,) = box.ask("exam-list")["items"]
        self.study = exam["study_instance_uid"]
        super()._retain(box)
        box.ask("reload")


@pytest.fixture(scope="module")
def day(
    shared: Rsyslog, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Rsyslog, Examination, Path]]:
    """The demo of an examination, with the audit trails of both nodes."""
    shared.forget()
    folder = tmp_path_factory.mktemp("day")
    (folder / "examination").mkdir()
    story = Examination(folder / "examination", shared)
    assert story.run() == 0
    wait_until(lambda: len(told(shared, "Application Activity")) == 2, "the end is told")
    yield shared, story, folder


def test_every_message_of_the_day_arrives_and_is_valid(
    day: tuple[Rsyslog, Examination, Path], tmp_path: Path
) -> None:
    repository, _, _ = day
    assert len(repository.messages()) > 20
    for source in ("box", "hospital"):
        every_one_arrived(repository, source)
    all_are_valid(repository, tmp_path / "judged")


def test_the_day_tells_of_worklist_step_images_and_their_way(
    day: tuple[Rsyslog, Examination, Path],
) -> None:
    repository, story, _ = day
    study = [story.study, "4711"]
    start, stop = told(repository, "Application Activity")
    assert [each.meaning for each in (*start.types, *stop.types)] == [
        "Application Start",
        "Application Stop",
    ]
    assert [each.types[0].meaning for each in told(repository, "Network Entry")] == [
        "Attach",
        "Detach",
    ]
    # The worklist: who asks tells of it, and who is asked.
    ours = told(repository, "Query")[0]
    assert identifiers(ours) == ["1.2.840.10008.5.1.4.31"]
    assert [each.alternative for each in ours.participants] == [
        "AETITLES=GANTRY",
        "AETITLES=HOSPITAL",
    ]
    theirs = told(repository, "Query", "hospital")[0]
    assert theirs.objects == ours.objects
    assert theirs.objects[0].query
    # The examination.
    (order,) = told(repository, "Order Record")
    assert identifiers(order) == ["4711"]
    assert order.objects[0].name == "Doe^Jane"
    for source in ("box", "hospital"):
        actions = [each.action for each in told(repository, "Procedure Record", source)]
        assert actions[0] == "C"
        assert actions[-1] == "U"
        assert all(identifiers(e) == study for e in told(repository, "Procedure Record", source))
    accessed = told(repository, "DICOM Instances Accessed")
    # One message, but where the box has paused between two images.
    created = [each for each in accessed if each.action == "C"]
    assert accessed[: len(created)] == created
    assert sum(count for each in created for _, count in each.objects[0].sop_classes) == 4
    gone = accessed[len(created) :]
    # Their way to the archive: before, after, and at the other end.
    assert told(repository, "Begin Transferring DICOM Instances")
    for source, role in (("box", "R"), ("hospital", "C")):
        moved = [
            each
            for each in told(repository, "DICOM Instances Transferred", source)
            if each.outcome == 0
        ]
        assert {each.action for each in moved} == {role}
        assert all(identifiers(each) == study for each in moved)
        assert sum(n for each in moved for _, n in each.objects[0].sop_classes) == 4
    # And their end.
    (deleted,) = told(repository, "DICOM Study Deleted")
    assert identifiers(deleted) == study
    assert deleted.objects[0].accession_numbers == ("A1001",)
    assert {each.action for each in gone} <= {"D"}
    assert sum(n for each in (*gone, deleted) for _, n in each.objects[0].sop_classes) == 4
    (reloaded,) = [
        each
        for each in told(repository, "Security Alert")
        if each.types[0].meaning == "Software Configuration"
    ]
    assert reloaded.outcome == 0


@pytest.mark.long
def test_media_that_come_in_and_go_out_are_told_of(
    repository: Rsyslog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Media(demo_media.MediaDemo):
        def _nodes(self) -> tuple[DemoNode, DemoNode]:
            hospital, box = super()._nodes()
            box.more(audited(repository))
            return hospital, box

    monkeypatch.setattr(shutil, "which", lambda name: None)
    (tmp_path / "demo").mkdir()
    assert Media(tmp_path / "demo").run() == 0
    wait_until(lambda: len(told(repository, "Application Activity")) == 2, "the end is told")
    (came,) = told(repository, "Import")
    assert medium_of(came).startswith("file:///")
    assert came.objects[-1].identifier == "4711"
    (went,) = told(repository, "Export")
    assert medium_of(went) == f"file://{tmp_path}/demo/disc"
    assert went.objects[-1].name == "Doe^Jane"
    all_are_valid(repository, tmp_path / "judged")


def every_one_arrived(repository: Rsyslog, source: str) -> None:
    """Messages of a node are numbered: none is missing."""
    lines = [each for each in repository.lines() if f'AuditSourceID="{source}"' in each]
    numbers = {int(each.split('sequenceId="')[1].split('"')[0]) for each in lines}
    assert numbers == set(range(1, max(numbers) + 1))


@pytest.mark.long
def test_the_other_stories_of_the_demo_are_told_whole_across_an_outage(
    repository: Rsyslog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relaying through a cut, and media that come and go; the repository is away in each."""

    class Audited(DemoNode):
        def __init__(self, folder: Path, title: str, more: str = "", head: str = "") -> None:
            story = folder.parent.name
            told_to = audited(repository, f"{story}-{title.lower()}")
            super().__init__(folder, title, f"{more}{told_to}", head)

    class Relay(demo_relay.RelayDemo):
        def _show_retries(self, box: DemoNode) -> None:
            repository.kill()
            super()._show_retries(box)
            repository.start()

    class Media(demo_media.MediaDemo):
        def _bring_in(self, box: DemoNode, hospital: DemoNode, stick: Path) -> None:
            repository.kill()
            super()._bring_in(box, hospital, stick)
            repository.start()

    monkeypatch.setattr(shutil, "which", lambda name: None)
    for module in (demo_relay, demo_media):
        monkeypatch.setattr(module, "DemoNode", Audited)
    for name in ("relay", "media"):
        (tmp_path / name).mkdir()
    nothing = argparse.Namespace(to=None, input=None, called="ARCHIVE")
    assert Relay(tmp_path / "relay", nothing).run() == 0
    assert Media(tmp_path / "media").run() == 0
    for source in ("relay-gantry", "relay-archive", "media-gantry", "media-hospital"):
        starts = 2 if source == "relay-archive" else 1
        wait_until(
            lambda name=source, number=2 * starts: (  # type: ignore[misc]
                len(told(repository, "Application Activity", name)) >= number
            ),
            f"the end of {source} is told",
        )
        every_one_arrived(repository, source)
    for source, role in (("relay-gantry", "C"), ("relay-gantry", "R"), ("relay-archive", "C")):
        moved = told(repository, "DICOM Instances Transferred", source)
        assert role in {each.action for each in moved if each.outcome == 0}
    assert told(repository, "Import", "media-gantry")
    assert told(repository, "Export", "media-gantry")
    all_are_valid(repository, tmp_path / "judged")


def a_node(folder: Path, repository: Rsyslog, more: str = "", **how: Any) -> NodeProcess:
    services = (
        '[[entity.service]]\nname = "query"\n[[entity.service]]\nname = "move"\n'
        '[[entity.service]]\nname = "get"\n'
    )
    return NodeProcess(folder, f"{services}{more}{audited(repository)}", **how)


def sent(node: NodeProcess, *files: Path, calling: str = "DEVICE") -> None:
    """Objects come in, and are there."""
    words = ["--calling", calling, "--called", "GANTRY"]
    done = gantry("send", f"127.0.0.1:{node.port}", *files, *words)
    assert done.returncode == 0, done


def test_what_is_stored_asked_for_and_fetched_is_told_of_with_both_ends(
    repository: Rsyslog, tmp_path: Path
) -> None:
    files = make_series(tmp_path / "in", stills=3, frames=2)
    more = '[[peer]]\nname = "DEVICE"\naddresses = ["127.0.0.1:1"]\n'
    with a_node(tmp_path / "node", repository, more) as node:
        sent(node, *files)
        called = ["--calling", "DEVICE", "--called", "GANTRY"]
        (study,) = {each["study_instance_uid"] for each in node.ask("studies")["items"]}
        at = f"127.0.0.1:{node.port}"
        gantry("find", at, "--level", "STUDY", "PatientID=*", *called)
        gantry("get", at, f"StudyInstanceUID={study}", "--into", tmp_path / "got", *called)
        gantry("move", at, f"StudyInstanceUID={study}", "--to", "DEVICE", *called)
        wait_until(
            lambda: len(told(repository, "DICOM Instances Transferred")) == 3,
            "store, get and move are told",
        )
        listed = gantry("audit", "list", "--control", node.control)
        checked = gantry("audit", "check", "--control", node.control)
        status = gantry("audit", "--control", node.control)
    came, got, moved = told(repository, "DICOM Instances Transferred")
    assert (came.action, got.action, moved.action) == ("C", "R", "R")
    assert (came.outcome, got.outcome, moved.outcome) == (0, 0, 8)
    for each in (came, got, moved):
        assert each.objects[0].identifier == study
        assert sum(count for _, count in each.objects[0].sop_classes) == len(files)
    assert [(each.alternative, each.requestor) for each in came.participants] == [
        ("AETITLES=GANTRY", False),
        ("AETITLES=DEVICE", True),
    ]
    assert [(each.user_id, each.requestor) for each in moved.participants[1:]] == [
        ("DEVICE", False),
        ("DEVICE", True),
    ]
    # The other is that of who asked by the control socket.
    assert "DEVICE" in [each.participants[0].user_id for each in told(repository, "Query")]
    assert "DICOM Instances Transferred  C  DEVICE -> GANTRY" in listed.output
    assert checked.returncode == 0
    assert checked.output.endswith(" messages, 0 with faults\n")
    assert f"tls localhost:{repository.port}" in status.output
    assert told(repository, "Audit Log Used")
    all_are_valid(repository, tmp_path / "judged")


def test_who_is_refused_is_told_of_once_and_counted(repository: Rsyslog, tmp_path: Path) -> None:
    files, secure = repository.certificates, free_port()
    more = (
        f'[[entity]]\nname = "SECURE"\nport = {secure}\naddresses = ["127.0.0.1"]\n'
        '[[entity.service]]\nname = "verification"\n'
        f'[entity.tls]\ncertificate = "{files.server.certificate}"\n'
        f'private_key = "{files.server.key}"\ntrust = ["{files.authority}"]\n'
    )
    with a_node(tmp_path / "node", repository, more, accept='calling = "peers"') as node:
        for _ in range(20):
            with RawPeer.connect(node.port) as intruder:
                intruder.send(associate_request(calling="INTRUDER"))
                intruder.receive_pdu(A_ASSOCIATE_RJ)
        with socket.create_connection(("127.0.0.1", secure)) as plain:
            plain.sendall(b"GET / HTTP/1.0\r\n\r\n")
            with suppress(ConnectionResetError):
                assert not plain.recv(100).startswith(b"HTTP")
        node.reload()
        wait_until(lambda: len(alerts(repository, "Node Authentication")) == 2, "both are told")
        node.stop()
        wait_until(lambda: len(alerts(repository, "Node Authentication")) == 3, "and how many")
    unknown, not_tls, more_of_them = alerts(repository, "Node Authentication")
    assert (unknown.outcome, not_tls.outcome, more_of_them.outcome) == (4, 8, 4)
    assert unknown.participants[1].user_id == "INTRUDER"
    assert unknown.objects[0].identifier == "127.0.0.1"
    assert b"calling-AE-title-not-recognized" in unknown.objects[0].details[0][1]
    assert "No secure connection" in not_tls.description
    assert more_of_them.description == f"{unknown.description} (19 more times)"
    assert len(alerts(repository, "Software Configuration")) == 1
    all_are_valid(repository, tmp_path / "judged")


def alerts(repository: Rsyslog, kind: str) -> list[AuditMessage]:
    return [each for each in told(repository, "Security Alert") if each.types[0].meaning == kind]


def test_nothing_is_lost_when_repository_and_node_are_killed(
    repository: Rsyslog, tmp_path: Path
) -> None:
    """What came in and was not told of when the node was killed is told of when it is back."""
    files = make_series(tmp_path / "in", stills=4, frames=2)
    node = a_node(tmp_path / "node", repository)
    slow = node.configuration.read_text().replace("gather = 0.5", "gather = 600")
    node.configuration.write_text(slow)
    with node:
        wait_until(lambda: told(repository, "Network Entry"), "it has begun")
        repository.kill()
        device = AE("DEVICE")
        for each in files:
            device.add_requested_context(dcmread(each, stop_before_pixels=True).SOPClassUID)
        association = device.associate("127.0.0.1", node.port, ae_title="GANTRY")
        for each in files[:2]:
            assert association.send_c_store(str(each)).Status == 0
        node.kill()
        association.abort()
        node.start()
        sent(node, *files[2:], calling="OTHER")
        node.kill()
        repository.start()
        node.start()
        wait_until(
            lambda: len(told(repository, "DICOM Instances Transferred")) >= 2, "all are told"
        )
    came = told(repository, "DICOM Instances Transferred")
    assert [each.participants[1].user_id for each in came] == ["DEVICE", "OTHER"]
    counts = [sum(count for _, count in each.objects[0].sop_classes) for each in came]
    assert counts == [2, len(files) - 2]
    numbers = repository.numbers()
    assert set(numbers) == set(range(1, max(numbers) + 1))
    all_are_valid(repository, tmp_path / "judged")


def test_when_there_is_no_room_and_work_shall_wait_associations_are_refused(
    repository: Rsyslog, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    node = a_node(tmp_path / "node", repository)
    away = node.configuration.read_text().replace(
        "gather = 0.5", 'gather = 0.5\nsize = 1048576\nwhen_full = "refuse"'
    )
    node.configuration.write_text(away.replace(str(repository.port), str(free_port())))
    with node:
        client = AE("DEVICE")
        client.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
        association = client.associate("127.0.0.1", node.port, ae_title="GANTRY")
        query = Dataset()
        query.QueryRetrieveLevel = "STUDY"
        query.PatientID = "x" * 64
        query.StudyInstanceUID = "\\".join(f"1.2.3.{number}" for number in range(2500))
        model = StudyRootQueryRetrieveInformationModelFind
        for _ in range(30):
            list(association.send_c_find(query, model))
        association.release()
        # What was asked is on its way into the queue.
        wait_until(lambda: not is_taken(client, node.port), "it is full", every=0.2)
        wait_until(lambda: "Local limit exceeded" in caplog.text, "why it is refused")
        status = node.ask("audit")
        assert status["bytes"] <= 1048576
        # The repository is there: what waits goes, and then there is room.
        node.configuration.write_text(away)
        node.reload()
        wait_until(
            lambda: is_taken(client, node.port),
            "there is room again",
            every=0.2,
        )


def is_taken(client: AE, port: int) -> bool:
    """`is_rejected` of pynetdicom is not yet true when it returns, now and then."""
    association = client.associate("127.0.0.1", port, ae_title="GANTRY")
    taken = bool(association.is_established)
    if taken:
        association.release()
    return taken


def is_off(node: NodeProcess) -> bool:
    try:
        node.ask("audit")
    except GantryError as error:
        return "no audit trail" in str(error)
    return False


def test_an_audit_trail_begins_and_ends_with_a_reload_and_leaves_out_what_is_not_wanted(
    repository: Rsyslog, tmp_path: Path
) -> None:
    node = NodeProcess(tmp_path / "node")
    with node:
        with pytest.raises(GantryError, match="no audit trail"):
            node.ask("audit")
        more = audited(repository, more='left_out = ["transferred", "application"]\n')
        node.write(more)
        node.reload()
        sent(node, *make_series(tmp_path / "in", stills=1))
        node.ask("audit", what="messages")
        wait_until(lambda: told(repository, "Audit Log Used"), "it is on")
        node.write("")
        node.reload()
        wait_until(lambda: alerts(repository, "Audit Recording Stopped"), "it is off")
        wait_until(lambda: is_off(node), "there is no audit trail")
        assert not (node.folder / "state" / "audit" / "told").exists()
    assert not told(repository, "DICOM Instances Transferred")
    assert not told(repository, "Application Activity")
    assert len(alerts(repository, "Audit Recording Started")) == 1
