"""C-MOVE and C-GET as SCU (PS3.4 C.4.2.2, C.4.3.2): archives of others, and scripted ones."""

from __future__ import annotations

import io
import json
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from agent.cli.main import main
from agent.dataset.attributes import Attributes
from agent.errors import LocalError, PeerError
from agent.loop import Loop
from agent.network.negotiation import propose
from agent.network.transport import open_association
from agent.network.user_information import UserInformation
from agent.services.retrieval_user import (
    Counts,
    Retrieved,
    Verdict,
    get_needs,
    move_need,
    retrieval_identifier,
    retrieve,
)
from tests.checklists import retrieving
from tests.checklists.retrieving import (
    CT,
    EXPLICIT,
    INSTANCE_MOVE,
    MR,
    PATIENT_ROOT_MOVE,
    STUDY_ROOT_GET,
    STUDY_ROOT_MOVE,
    Made,
    number,
)
from tests.cli_of import ROOT
from tests.node.running import NodeProcess, free_port
from tests.peers.dcmtk import DcmtkQueryRetrieveScp, DcmtkStoreScp
from tests.peers.orthanc import Orthanc
from tests.peers.process import wait_until
from tests.peers.programs import Completed
from tests.peers.pynetdicom_retrieval import RetrievalScp
from tests.peers.raw_pdu import (
    Message,
    accepted_context,
    associate_accept,
    c_store_request,
    command_set,
    proposed_context,
    release_response,
    role_selection,
    user_information,
)
from tests.peers.raw_peer import PeerClosed, RawPeer, RawServer

pytestmark = pytest.mark.peer

STUDY, OTHER = "1.2.826.0.1.3680043.9.21", "1.2.826.0.1.3680043.9.22"
OBJECTS = [
    *(Made(f"{STUDY}.{n}", STUDY) for n in range(1, 6)),
    Made(f"{OTHER}.1", OTHER, MR),
]

Archive = DcmtkQueryRetrieveScp | Orthanc


@pytest.fixture(scope="module")
def own_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def storescp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DcmtkStoreScp]:
    with DcmtkStoreScp(tmp_path_factory.mktemp("storescp"), ae_title="THIRD") as peer:
        yield peer


@pytest.fixture(scope="module", params=["dcmqrscp", "orthanc"])
def archive(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    own_port: int,
    storescp: DcmtkStoreScp,
) -> Iterator[Archive]:
    folder = tmp_path_factory.mktemp(request.param)
    titles = {
        "ME": ("127.0.0.1", own_port),
        "GANTRY": ("127.0.0.1", own_port),
        "THIRD": ("127.0.0.1", storescp.port),
    }
    peer: Any = (
        DcmtkQueryRetrieveScp(folder, move_destinations=titles)
        if request.param == "dcmqrscp"
        else Orthanc(folder, modalities=titles)
    )
    with peer:
        retrieving.store(peer.port, OBJECTS, window=1, called=peer.ae_title)
        yield peer


def words(command: str, archive: Archive, *more: str | Path) -> list[str | Path]:
    there = f"127.0.0.1:{archive.port}"
    return [command, there, "--called", archive.ae_title, "--no-sync", *more]


def gantry(*words: str | Path) -> Completed:
    """A command in this process, which spares its start."""
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        try:
            status = main([str(word) for word in words])
        except SystemExit as left:
            status = int(left.code or 0)
    return Completed(tuple(map(str, words)), int(status), said.getvalue())


def names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.iterdir())


SELECTIONS = [
    (["--level", "study", f"StudyInstanceUID={STUDY}"], OBJECTS[:5]),
    (["--level", "study", f"StudyInstanceUID={STUDY}\\{OTHER}"], OBJECTS),
    (
        ["--level", "series", f"StudyInstanceUID={STUDY}", f"SeriesInstanceUID={STUDY}.1"],
        OBJECTS[:5],
    ),
    (
        [
            *("--level", "image", f"StudyInstanceUID={STUDY}", f"SeriesInstanceUID={STUDY}.1"),
            f"SOPInstanceUID={STUDY}.2\\{STUDY}.4",
        ],
        [OBJECTS[1], OBJECTS[3]],
    ),
    (["--level", "patient", "PatientID=P1"], OBJECTS),
]


@pytest.mark.parametrize(("keys", "wanted"), SELECTIONS)
def test_ps34_073_get_brings_exactly_the_objects_of_each_level(
    archive: Archive, tmp_path: Path, keys: list[str], wanted: list[Made]
) -> None:
    done = gantry(*words("get", archive, *keys, "--into", tmp_path, "--json"))
    said = json.loads(done.check().output)
    assert names(tmp_path) == sorted(each.uid for each in wanted)
    assert said["received"] == names(tmp_path) and said["missing"] == []
    assert said["completed"] == len(wanted) and said["verdict"] == "all"


@pytest.mark.parametrize(("keys", "wanted"), SELECTIONS)
def test_ic_29_move_to_ourselves_brings_exactly_the_objects_of_each_level(
    archive: Archive, tmp_path: Path, own_port: int, keys: list[str], wanted: list[Made]
) -> None:
    to = ["--to", "ME", "--listen", str(own_port), "--into", tmp_path]
    done = gantry(*words("move", archive, *keys, *to))
    assert f"{len(wanted)} received" in done.check().output
    assert names(tmp_path) == sorted(each.uid for each in wanted)


def test_ic_33_a_direct_move_to_a_third_ae_is_judged_by_the_final_response(
    archive: Archive, storescp: DcmtkStoreScp
) -> None:
    for path in storescp.received():
        path.unlink()
    done = gantry(*words("move", archive, f"StudyInstanceUID={STUDY}", "--to", "THIRD"))
    assert "5 completed" in done.check().output
    assert len(storescp.received()) == 5
    unknown = gantry(*words("move", archive, f"StudyInstanceUID={STUDY}", "--to", "NOBODY"))
    # PS3.4 says A801; Orthanc says C000.
    assert unknown.returncode == 1
    assert ("A801H" in unknown.output) or ("C000H" in unknown.output)


def test_what_there_should_be_is_asked_for_and_classes_follow_from_it(
    archive: Archive, tmp_path: Path
) -> None:
    done = gantry(
        *words("get", archive, f"StudyInstanceUID={OTHER}", "--check", "--into", tmp_path)
    )
    assert "1 received" in done.check().output
    # Without a class for it the object fails, and is named, for it is known what there should be.
    lacking = tmp_path / "lacking"
    done = gantry(
        *words("get", archive, f"StudyInstanceUID={OTHER}", "--check", "--into", lacking),
        *("--sop-class", "CTImageStorage"),
    )
    assert done.returncode == 1 and f"missing: {OTHER}.1" in done.output


# Scripted archives.


class Script:
    """A retrieval SCP by hand: `answer` gets the connection, the request and how many came before,
    and sends what it likes, the final response last."""

    def __init__(self, answer: Callable[[RawPeer, Message, int], None]) -> None:
        self.requests: list[Message] = []
        self.cancelled = threading.Event()
        self.contexts: dict[int, bytes] = {}
        self._answer = answer
        self._server = RawServer()
        self.port = self._server.port
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Script:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.socket.close()

    def _serve(self) -> None:
        with suppress(OSError, PeerClosed, AssertionError):
            while True:
                peer = self._server.accept()
                with suppress(PeerClosed, OSError):
                    self._one(peer)
                peer.close()

    def _one(self, peer: RawPeer) -> None:
        asked = peer.receive_pdu()
        self.contexts = {c[0]: c for kind, c in asked.items() if kind == 0x20}
        peer.send(
            associate_accept(
                *(accepted_context(n, 0, peer._first_syntax(c)) for n, c in self.contexts.items()),
                user=user_information(role_selection(CT, scu=False, scp=True)),
            )
        )
        while True:
            try:
                message = peer.receive_message()
            except AssertionError:
                peer.send(release_response())
                return
            if number(message, 0x0100) == 0x0FFF:
                self.cancelled.set()
                continue
            self.requests.append(message)
            self._answer(peer, message, len(self.requests))

    def store(self, peer: RawPeer, uid: str) -> None:
        context = next(n for n, c in self.contexts.items() if CT.encode() in c)
        peer.send_message(context, c_store_request(CT, uid, 5), Made(uid, STUDY).data_set())
        peer.receive_message()


def say(
    peer: RawPeer,
    request: Message,
    status: int,
    counters: tuple[int | None, ...] = (),
    data_set: bytes | None = None,
    extra: dict[int, bytes] | None = None,
) -> None:
    """A response with these counters: Remaining, Completed, Failed, Warning."""
    elements: dict[int, Any] = {
        0x0002: request.command[0x0002],
        0x0100: struct.unpack("<H", request.command[0x0100])[0] | 0x8000,
        0x0120: request.command[0x0110],
        0x0800: 0x0101 if data_set is None else 1,
        0x0900: status,
    }
    counted = zip(range(0x1020, 0x1024), counters, strict=False)
    elements |= {tag: value for tag, value in counted if value is not None}
    peer.send_message(request.context, command_set({**elements, **(extra or {})}), data_set)


def failed_list(*uids: str) -> bytes:
    value = "\\".join(uids).encode()
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HHHH", 0x0008, 0x0058, 0x4955, len(value)) + value


def asked(script: Script, *, sop_class: str = STUDY_ROOT_MOVE, patience: float = 5.0) -> Retrieved:
    async def ask() -> Retrieved:
        association = await open_association(
            [("127.0.0.1", script.port)],
            called_ae_title="SCP",
            calling_ae_title="ME",
            proposals=propose([move_need(sop_class)])[0],
            information=UserInformation(16384, "1.2.3", "TEST"),
        )
        keys = Attributes(QueryRetrieveLevel="STUDY", StudyInstanceUID=STUDY)
        try:
            return await retrieve(association, sop_class, keys, "ME", patience=patience)
        finally:
            await association.release()

    return Loop().run(ask())


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (0x0000, Verdict.ALL),
        (0xB000, Verdict.SOME),
        (0xA701, Verdict.NONE),
        (0xA702, Verdict.NONE),
        (0xA801, Verdict.NONE),
        (0xA900, Verdict.NONE),
        (0xC123, Verdict.NONE),
        (0xFE00, Verdict.CANCELLED),
    ],
)
def test_ic_31_ps34_062_each_final_status_leaves_the_right_verdict(
    status: int, verdict: Verdict, listed: bool, counted: bool
) -> None:
    def answer(peer: RawPeer, request: Message, count: int) -> None:
        say(peer, request, 0xFF00, (2, 0, 0, 0))
        uids = failed_list(f"{STUDY}.1", f"{STUDY}.2") if listed else None
        say(peer, request, status, (None, 3, 2, 1) if counted else (), uids)

    with Script(answer) as script:
        found = asked(script)
    assert found.verdict is verdict
    assert found.counts == (Counts(None, 3, 2, 1) if counted else Counts())
    assert found.failed == ((f"{STUDY}.1", f"{STUDY}.2") if listed else ())


def test_a_list_in_the_command_set_is_found_and_one_that_is_broken_leaves_the_status() -> None:
    def in_the_command(peer: RawPeer, request: Message, count: int) -> None:
        # As DCMTK and Orthanc do: the command set says that there is no data set.
        encoded = command_set(
            {
                0x0002: request.command[0x0002],
                0x0100: 0x8021,
                0x0120: request.command[0x0110],
                0x0800: 0x0101,
                0x0900: 0xC000,
            }
        )
        uid = b"1.2.3.4\0"
        wrong = struct.pack("<HHI", 0x0008, 0x0058, len(uid)) + uid
        peer.send_message(request.context, encoded + wrong)

    with Script(in_the_command) as script:
        assert asked(script).failed == ("1.2.3.4",)
    with Script(
        lambda peer, request, count: say(peer, request, 0xB000, (), b"\x08\0\x58")
    ) as script:
        found = asked(script)
        assert found.verdict is Verdict.SOME and found.failed == ()


def test_a_peer_that_says_nothing_any_more_is_given_up() -> None:
    with Script(lambda peer, request, count: time.sleep(0.1)) as script:
        with pytest.raises(PeerError, match="says nothing"):
            asked(script, patience=0.3)


def test_ps34_061_the_identifier_has_the_level_and_unique_keys_only() -> None:
    def none(event: Any) -> Iterator[Any]:
        yield None, None

    keys = [f"StudyInstanceUID={STUDY}", "--to", "ME"]
    with RetrievalScp(none, [STUDY_ROOT_MOVE, PATIENT_ROOT_MOVE]) as peer:
        gantry("move", f"127.0.0.1:{peer.port}", *keys)
        gantry("move", f"127.0.0.1:{peer.port}", "--level", "patient", "PatientID=é", "--to", "ME")
    plain, accented = peer.asked
    assert [each.keyword for each in plain] == ["QueryRetrieveLevel", "StudyInstanceUID"]
    assert [each.keyword for each in accented] == [
        "SpecificCharacterSet",
        "QueryRetrieveLevel",
        "PatientID",
    ]
    assert accented.PatientID == "é"
    with pytest.raises(LocalError):
        retrieval_identifier(STUDY_ROOT_MOVE, "STUDY", Attributes(PatientID="1"))
    with pytest.raises(LocalError):
        retrieval_identifier(INSTANCE_MOVE, "STUDY", Attributes(SOPInstanceUID="1.2"))


def test_ps34_073_contexts_of_a_get_ask_for_the_role_of_an_scp() -> None:
    needs, roles = get_needs(STUDY_ROOT_GET, [CT, MR], ["1.2.840.10008.1.2.4.70"])
    assert {(role.scu, role.scp) for role in roles} == {(False, True)}
    assert [role.sop_class_uid for role in roles] == [CT, MR]
    assert needs[1].transfer_syntaxes[0] == EXPLICIT and len(needs) == 5
    many, roles = get_needs(STUDY_ROOT_GET, [f"1.2.{n}" for n in range(200)], ["1.2.3"])
    assert len(propose(many)) == 1 and len(many) == 128 and len(roles) == 127


def test_ic_30_what_was_sent_and_did_not_come_is_no_success(tmp_path: Path) -> None:
    """The peer says that it sent two; one came."""

    def answer(peer: RawPeer, request: Message, count: int) -> None:
        script.store(peer, f"{STUDY}.1")
        say(peer, request, 0, (None, 2, 0, 0))

    with Script(answer) as script:
        done = gantry(
            *("get", f"127.0.0.1:{script.port}", f"StudyInstanceUID={STUDY}", "--no-sync"),
            *("--into", tmp_path, "--sop-class", CT),
        )
    assert done.returncode == 1 and "1 objects that the peer says it sent" in done.output
    assert names(tmp_path) == [f"{STUDY}.1"]


def test_ic_30_what_is_missing_is_asked_for_again_at_image_level(tmp_path: Path) -> None:
    def answer(peer: RawPeer, request: Message, count: int) -> None:
        if count == 1:
            script.store(peer, f"{STUDY}.1")
            say(peer, request, 0xB000, (None, 1, 1, 0), failed_list(f"{STUDY}.2"))
        else:
            script.store(peer, f"{STUDY}.2")
            say(peer, request, 0, (None, 1, 0, 0))

    keys = [f"StudyInstanceUID={STUDY}", f"SeriesInstanceUID={STUDY}.1"]
    with Script(answer) as script:
        done = gantry(
            *("get", f"127.0.0.1:{script.port}", *keys, "--level", "image", "--no-sync"),
            *(f"SOPInstanceUID={STUDY}.1\\{STUDY}.2", "--retry", "3"),
            *("--into", tmp_path, "--sop-class", CT),
        )
    assert "2 received" in done.check().output
    assert len(script.requests) == 2
    assert f"{STUDY}.1\\".encode() not in script.requests[1].data_set
    assert f"{STUDY}.2".encode() in script.requests[1].data_set


def test_ic_30_stores_before_the_first_pending_and_after_the_final_response_count(
    tmp_path: Path, own_port: int
) -> None:
    def answer(peer: RawPeer, request: Message, count: int) -> None:
        retrieving.store(own_port, OBJECTS[:1], called="ME")
        say(peer, request, 0xFF00, (2, 1, 0, 0))
        retrieving.store(own_port, OBJECTS[1:2], called="ME")
        say(peer, request, 0, (None, 3, 0, 0))
        time.sleep(0.5)
        retrieving.store(own_port, OBJECTS[2:3], called="ME")

    with Script(answer) as script:
        done = gantry(
            *("move", f"127.0.0.1:{script.port}", f"StudyInstanceUID={STUDY}", "--no-sync"),
            *("--to", "ME", "--listen", str(own_port), "--into", tmp_path),
        )
    assert "3 received" in done.check().output


def test_ic_27_30_32_a_node_takes_what_its_move_is_about_and_refuses_the_rest(
    tmp_path: Path,
) -> None:
    """The first move brings one of two, another study, and one whose originator is somebody else;
    the second brings the other. The peer answers no queries for instances, and gets none."""
    node = NodeProcess(tmp_path, accept='calling = "any"\nsolicited = true')
    refused: list[int] = []

    def offered(each: Made, originator: str = "") -> int:
        with RawPeer.connect(node.port) as sender:
            sender.associate(proposed_context(1, CT, EXPLICIT))
            request = command_set(
                {
                    0x0002: CT,
                    0x0100: 0x0001,
                    0x0110: 7,
                    0x0700: 0,
                    0x0800: 1,
                    **({0x1030: originator.encode(), 0x1031: 1} if originator else {}),
                    0x1000: each.uid,
                }
            )
            sender.send_message(1, request, each.data_set())
            return retrieving.status(sender.receive_message())

    def answer(peer: RawPeer, request: Message, count: int) -> None:
        if count == 1:
            refused.append(offered(Made(f"{OTHER}.7", OTHER)))
            refused.append(offered(OBJECTS[0], "SOMEBODY"))
            assert offered(OBJECTS[0], "GANTRY") == 0
        else:
            assert offered(OBJECTS[1]) == 0
            assert offered(OBJECTS[0]) == 0
        say(peer, request, 0, (None, 2, 0, 0))

    with Script(answer) as script:
        node.write(
            f'[[peer]]\nname = "FAR"\naddresses = ["127.0.0.1:{script.port}"]\n'
            'services = ["query", "move"]\n[peer.fetch]\ngrace = 0.2\ninstance_query = false\n'
            "[peer.retry]\nfirst = 0.1\n"
        )
        with node:
            assert offered(OBJECTS[0]) == 0x0124, "nothing is waited for"
            node.ask("fetch-begin", peer="FAR", studies=[STUDY])
            wait_until(
                lambda: node.ask("fetch-list")["items"][0]["state"] == "COMPLETED", "complete"
            )
            assert offered(OBJECTS[2]) == 0x0124, "nothing is waited for any more"
            said = node.ask("instances", study_instance_uid=STUDY)["items"]
    assert refused == [0x0124, 0x0124] and len(script.requests) == 2
    for each in script.requests:
        assert number(each, 0x0100) == 0x0021 and b"STUDY" in each.data_set
    assert sorted(uid for _, uid in said) == [each.uid for each in OBJECTS[:2]]


def test_a_retrieval_of_a_node_that_is_stopped_is_cancelled_at_the_peer(tmp_path: Path) -> None:
    def answer(peer: RawPeer, request: Message, count: int) -> None:
        say(peer, request, 0xFF00, (9, 0, 0, 0))
        node.ask("fetch-stop", id=1)
        assert number(peer.receive_message(), 0x0100) == 0x0FFF
        script.cancelled.set()
        say(peer, request, 0xFE00, (9, 0, 0, 0))

    node = NodeProcess(tmp_path)
    with Script(answer) as script:
        node.write(
            f'[[peer]]\nname = "FAR"\naddresses = ["127.0.0.1:{script.port}"]\n'
            'services = ["move"]\n'
        )
        with node:
            node.ask("fetch-begin", peer="FAR", studies=[STUDY])
            wait_until(
                lambda: node.ask("fetch-list")["items"][0]["state"] == "DISCONTINUED", "stopped"
            )
            assert script.cancelled.is_set() and len(script.requests) == 1


@pytest.mark.parametrize("status", [0xA701, 0xA702, 0xA801, 0xC001])
def test_rv_16_final_statuses_are_told_as_such(status: int) -> None:
    with Script(lambda peer, request, count: say(peer, request, status)) as script:
        done = gantry("move", f"127.0.0.1:{script.port}", f"StudyInstanceUID={STUDY}", "--to", "ME")
    assert done.returncode == 1 and f"{status:04X}H" in done.output


def test_rv_17_an_interrupt_sends_a_cancel_and_waits_for_fe00() -> None:
    def answer(peer: RawPeer, request: Message, count: int) -> None:
        say(peer, request, 0xFF00, (9, 0, 0, 0))
        process.send_signal(signal.SIGINT)
        message = peer.receive_message()
        assert number(message, 0x0100) == 0x0FFF
        assert message.command[0x0120] == request.command[0x0110]
        script.cancelled.set()
        time.sleep(0.2)
        say(peer, request, 0xFE00, (9, 0, 0, 0))

    with Script(answer) as script:
        command = [sys.executable, "-m", "agent.cli.main", "move", f"127.0.0.1:{script.port}"]
        command += [f"StudyInstanceUID={STUDY}", "--to", "ME"]
        with subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            said = process.communicate(timeout=20)[0]
    assert script.cancelled.is_set() and "FE00H" in said
    assert process.returncode == 1


def test_objects_that_came_are_what_was_sent(archive: Archive, tmp_path: Path) -> None:
    gantry(*words("get", archive, f"StudyInstanceUID={OTHER}", "--into", tmp_path)).check()
    (path,) = tmp_path.iterdir()
    found = dcmread(path)
    assert found.SOPClassUID == MR and found.PixelData == bytes(200)
