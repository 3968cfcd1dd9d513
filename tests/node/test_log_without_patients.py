"""Rule 7: no line of a log above the level debug, no metric, alert or bundle has patient data.

One node with each way in and out, peers that answer everything with a failure that quotes the
patient, and files, folders and sticks that are called like the patient. Then all is searched that
the node said by itself; what a person asks for has the texts in full.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid
from pynetdicom import AE, AllStoragePresentationContexts, build_context, evt
from pynetdicom.sop_class import (
    ModalityPerformedProcedureStep,
    ModalityWorklistInformationFind,
    PatientRootQueryRetrieveInformationModelFind,
    StorageCommitmentPushModel,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from agent.errors import GantryError
from tests.cli.test_bundle import leaks, unpacked
from tests.cli_of import gantry
from tests.node.moved_clock import MovedClock
from tests.node.running import NodeProcess, free_port, peer_table
from tests.node.test_examination import CAPTURE
from tests.node.test_fetch import source
from tests.node.test_media_watch import media
from tests.node.test_steps import until
from tests.peers.dcmtk import storescu

pytestmark = pytest.mark.peer

CT = Path(str(get_testdata_file("CT_small.dcm")))
NAME, GIVEN, NUMBER = "Quellenhuber", "Walpurgis", "PQ7743091"
BIRTH, ACCESSION, FILE = "19310417", "ACQX5517", "Huberakte"
STICK, DIAGNOSIS = "HUBERSTICK", "Verdachtsbefund"
TEXTS = (NAME, GIVEN, NUMBER, BIRTH, ACCESSION, FILE, STICK, DIAGNOSIS)
QUOTE = f"{NAME} {NUMBER} {BIRTH} {ACCESSION}"
PERSON = {
    "PatientName": f"{NAME}^{GIVEN}",
    "PatientID": NUMBER,
    "PatientBirthDate": BIRTH,
    "AccessionNumber": ACCESSION,
    "StudyDescription": DIAGNOSIS,
}
STUDY = "1.2.826.0.1.3680043.9.77.1"
QUICK = '[peer.retry]\nfirst = "0.2 s"\nlongest = "0.5 s"\n'


def failing(status: int) -> Callable[[Any], Any]:
    """A handler that quotes the patient in its Error Comment, whatever it is asked."""

    def handler(event: Any) -> Any:
        said = Dataset()
        said.Status = status
        said.ErrorComment = QUOTE
        return said

    return handler


def finding(event: Any) -> Iterator[tuple[Any, None]]:
    yield failing(0xC001)(event), None


def found(event: Any) -> Iterator[tuple[int, Dataset | None]]:
    """One object of each study, which is not to be had."""
    made = event.identifier
    for keyword in ("SeriesInstanceUID", "SOPInstanceUID"):
        setattr(made, keyword, f"{STUDY}.9.{len(keyword)}")
    made.SOPClassUID, made.Modality = "1.2.840.10008.5.1.4.1.1.2", "CT"
    yield 0xFF00, made
    yield 0, None


def acting(event: Any) -> tuple[Any, None]:
    return failing(0x0110)(event), None


@dataclass
class Hospital:
    """pynetdicom in all roles, which does nothing that it is asked."""

    port: int
    server: Any = None

    def start(self, store: Callable[[Any], Any], find: Any = finding) -> Hospital:
        entity = AE(ae_title="HOSPITAL")
        entity.maximum_associations = 50
        entity.supported_contexts = AllStoragePresentationContexts
        for uid in (
            "1.2.840.10008.1.1",
            ModalityPerformedProcedureStep,
            ModalityWorklistInformationFind,
            PatientRootQueryRetrieveInformationModelFind,
            StorageCommitmentPushModel,
            StudyRootQueryRetrieveInformationModelFind,
            StudyRootQueryRetrieveInformationModelGet,
            StudyRootQueryRetrieveInformationModelMove,
        ):
            entity.add_supported_context(uid)
        self.server = entity.start_server(
            ("127.0.0.1", self.port),
            block=False,
            evt_handlers=[
                (evt.EVT_C_STORE, store),
                (evt.EVT_C_FIND, find),
                (evt.EVT_C_GET, refusing_to_retrieve),
                (evt.EVT_C_MOVE, refusing_to_move, [self.port]),
                (evt.EVT_N_ACTION, acting),
                (evt.EVT_N_CREATE, acting),
                (evt.EVT_N_SET, acting),
            ],
        )
        return self


def refusing_to_retrieve(event: Any) -> Iterator[Any]:
    yield 1
    yield failing(0xA702)(event), None


def refusing_to_move(event: Any, port: int) -> Iterator[Any]:
    yield "127.0.0.1", port, {"contexts": [build_context("1.2.840.10008.5.1.4.1.1.2")]}
    yield 1
    yield failing(0xA702)(event), None


def person(**more: Any) -> Any:
    made = dcmread(CT)
    made.StudyInstanceUID = STUDY
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    for keyword, value in {**PERSON, **more}.items():
        setattr(made, keyword, value)
    return made


@dataclass
class House:
    """The node, and what others have heard of it."""

    node: NodeProcess
    clock: MovedClock
    folder: Path
    syslog: socket.socket
    front: int
    """The port of an entity that passes on what it gets before it says success."""
    alerts: bytes = b""

    def until(self, *events: str) -> None:
        for each in events:
            until(lambda each=each: each in self.node.log, lambda: f"{events}\n{self.node.log}")

    def asks(self, do: str, **fields: Any) -> str:
        """What it answers, the refusal too."""
        try:
            return json.dumps(self.node.ask(do, **fields), ensure_ascii=False)
        except GantryError as error:
            return str(error)

    def has_told(self, *texts: bytes) -> bool:
        """Whether there were alerts with these; a little later each time."""
        self.clock.advance(2)
        with suppress(BlockingIOError):
            while True:
                self.alerts += self.syslog.recv(65536)
        return all(each in self.alerts for each in texts)


def tables(
    folder: Path, refuses: int, commits: int, busy: int, syslog: int, front: int
) -> tuple[str, str]:
    """What stands before the entity, and what behind it."""
    head = (
        '[worklist]\npeer = "REFUSES"\nevery = "5 s"\n[steps]\npeer = ["REFUSES"]\n'
        '[alerts]\nlook = "1 s"\nundelivered = "60 s"\naway = "0 s"\n'
        f'[[alerts.syslog]]\nname = "near"\ntransport = "udp"\naddress = "127.0.0.1:{syslog}"\n'
    )
    services = '"storage", "query", "move", "worklist", "performed-step"'
    tail = (
        "".join(
            f'[[entity.service]]\nname = "{name}"\nroles = ["scp"]\n'
            for name in ("storage", "query", "get", "move", "worklist", "performed-step")
        )
        + peer_table("REFUSES", refuses, f'title = "HOSPITAL"\nservices = [{services}]\n')
        + peer_table("AGAIN", busy)
        + peer_table(
            "COMMITS",
            commits,
            'services = ["storage", "commitment", "query", "get"]\n'
            '[peer.commitment]\neach = "object"\ngather = "0 s"\n',
        )
        + source("GETS", commits, '"query", "get"')
        + source("MOVES", commits, '"query", "move"')
        + '[[precache]]\nname = "days"\npeer = ["REFUSES"]\nevery = "5 s"\n'
        + f'[[folder]]\nname = "drop"\npath = "{folder}/drop"\nsettle = "0.1 s"\n'
        f'[[folder]]\nname = "gone"\npath = "{folder}/gone"\nsettle = "0.1 s"\n'
        + '[[serial]]\nname = "desk"\nkind = "simulator"\n'
        f'[serial.settings]\nfifo = "{folder}/operator"\n'
        'patterns = ["(?P<AccessionNumber>ACQX[0-9]+)"]\n'
        + media(folder / "slots", "match")
        + CAPTURE
        + f'[[entity]]\nname = "FRONT"\nport = {front}\naddresses = ["127.0.0.1"]\n'
        '[entity.accept]\ncalling = "any"\n[entity.storage]\nonward = "REFUSES"\n'
        '[[entity.service]]\nname = "storage"\nroles = ["scp"]\n'
    )
    return head, tail


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    for name in ("drop", "slots", "gone"):
        (folder / name).mkdir()
    hospitals = [
        Hospital(free_port()).start(failing(0xC123)),
        Hospital(free_port()).start(lambda _: 0, found),
        Hospital(free_port()).start(failing(0xA700)),
    ]
    refuses, commits, busy = (each.port for each in hospitals)
    syslog = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    syslog.bind(("127.0.0.1", 0))
    syslog.setblocking(False)
    node = NodeProcess(folder / "node")
    front = free_port()
    head, tail = tables(folder, refuses, commits, busy, syslog.getsockname()[1], front)
    text = node.configuration.read_text()
    node.configuration.write_text(text.replace("[[entity]]", f"{head}[[entity]]", 1) + tail)
    made = House(node, MovedClock(node), folder, syslog, front)
    with node:
        go_wrong(made)
        yield made
    for each in hospitals:
        each.server.shutdown()
    syslog.close()


def go_wrong(house: House) -> None:
    """All that can go wrong with a patient in it."""
    from_the_network(house)
    from_a_folder(house)
    from_a_stick(house)
    from_persons(house)
    towards_peers(house)
    house.clock.advance(120)
    until(lambda: house.has_told(b"undelivered begun", b"the folder gone"), lambda: house.node.log)


def from_the_network(house: House) -> None:
    """Objects, queries, retrievals and steps that are wrong."""
    good = house.folder / "good.dcm"
    dcmwrite(good, person())
    storescu(house.node.port, good, calling="CT1").check()
    assert NUMBER in storescu(house.front, good, called="FRONT", options=["-d"]).output
    worklist = house.node.folder / "state" / "worklist"
    worklist.mkdir(parents=True, exist_ok=True)
    (worklist / f"{FILE}.json").write_text(f'[{{"00100010": "{NAME}"}}]')
    (worklist / f"{FILE}.wl").write_bytes(QUOTE.encode())
    for keys in wrong_identifiers():
        for query in (StudyRootQueryRetrieveInformationModelFind, ModalityWorklistInformationFind):
            with associated(house.node.port, query) as link:
                list(link.send_c_find(keys, query))
        with associated(house.node.port, StudyRootQueryRetrieveInformationModelMove) as link:
            list(link.send_c_move(keys, NUMBER, StudyRootQueryRetrieveInformationModelMove))
        with associated(house.node.port, StudyRootQueryRetrieveInformationModelGet) as link:
            list(link.send_c_get(keys, StudyRootQueryRetrieveInformationModelGet))
    step = Dataset()
    step.PatientName, step.PatientID = PERSON["PatientName"], NUMBER
    step.PerformedProcedureStepStatus = NAME.upper()
    with associated(house.node.port, ModalityPerformedProcedureStep) as link:
        link.send_n_create(step, ModalityPerformedProcedureStep, generate_uid())
        link.send_n_set(step, ModalityPerformedProcedureStep, generate_uid())
    house.until("operation refused", "worklist entry passed over")


@contextmanager
def associated(port: int, context: str) -> Iterator[Any]:
    entity = AE(ae_title="CT1")
    entity.add_requested_context(context)
    link = entity.associate("127.0.0.1", port, ae_title="GANTRY")
    assert link.is_established
    try:
        yield link
    finally:
        link.release()


def wrong_identifiers() -> Iterator[Dataset]:
    for level, keyword, value in (
        ("STUDY", "PatientBirthDate", "19310417-1931"),
        (NAME.upper(), "PatientID", NUMBER),
        ("STUDY", "PatientID", NUMBER),
        ("IMAGE", "AccessionNumber", ACCESSION),
    ):
        keys = Dataset()
        keys.QueryRetrieveLevel = level
        setattr(keys, keyword, value)
        yield keys


def from_a_folder(house: House) -> None:
    """Good, broken, cut off and refused, all called like the patient, and a folder as well."""
    beside, drop = house.folder / "beside", house.folder / "drop"
    inner = beside / f"{NAME}_{GIVEN}"
    inner.mkdir(parents=True)
    dcmwrite(inner / f"{FILE}1.dcm", person())
    (beside / f"{FILE}2.dcm").write_bytes((inner / f"{FILE}1.dcm").read_bytes()[:900])
    (beside / f"{FILE}3 {NUMBER}.pdf").write_bytes(QUOTE.encode())
    wrong = person(SOPInstanceUID="")
    wrong.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    wrong.save_as(beside / f"{FILE}4.dcm")
    for made in list(beside.iterdir()):
        made.rename(drop / made.name)
    house.until("file taken")
    until(lambda: house.node.log.count("file not taken") >= 3, lambda: house.node.log)


def from_a_stick(house: House) -> None:
    """A stick and a folder called like the patient, whom the worklist does not have."""
    stick = house.folder / "slots" / STICK
    stick.mkdir()
    dcmwrite(stick / f"{FILE}.dcm", person(StudyInstanceUID=f"{STUDY}.2"))
    (stick / f"{FILE}2").write_bytes(made_wrong())
    folder = house.folder / f"{FILE}5"
    shutil.copytree(stick, folder)
    house.until("medium came")
    assert NUMBER in house.asks("import-begin", root=str(folder), match=True)
    house.node.ask("import-begin", root=str(folder), patient_id=NUMBER, patient=PERSON)
    assert FILE in house.asks("import-begin", root=str(folder / FILE))
    until(lambda: '"copied": true' in house.asks("import-list"), lambda: house.node.log)
    assert FILE in house.asks("import-list")
    until(lambda: NUMBER in house.asks("media") or STICK in house.asks("media"), house.asks)
    shutil.rmtree(stick)
    house.until("medium pulled")


def made_wrong() -> bytes:
    return CT.read_bytes()[:400] + QUOTE.encode() + bytes(200)


def from_persons(house: House) -> None:
    """Captures, codes and commands."""
    begun = house.node.ask("exam-start", keys=PERSON, emergency=True)
    house.node.ask("exam-capture", stills=1)
    house.asks("exam-capture", stills=1, device=NAME)
    house.asks("exam-start", keys={**PERSON, "PatientBirthDate": NAME}, emergency=True)
    house.asks("exam-finish")
    assert begun["state"] == "IN PROGRESS"
    with (house.folder / "operator").open("w") as pipe:
        pipe.write(f"read {ACCESSION}\nread {NAME}\n")
    house.until("operator's act failed", "code not understood")
    target = house.folder / f"{FILE}6"
    target.mkdir()
    house.node.ask("export-begin", studies=[STUDY], target=str(target))
    assert FILE in house.asks("export-begin", studies=[STUDY], target=f"{target}/none/x")
    house.asks("re-identify", level="study", uid=STUDY, values={"PatientBirthDate": NAME})
    house.asks("search", keys={"00100010": {"vr": "PN", "Value": [{"Alphabetic": NAME}]}})
    house.asks("search", keys={NAME: {}})
    house.asks(NAME)


def towards_peers(house: House) -> None:
    """Deliveries, commitment, steps, worklist, queries and retrievals that fail."""
    for peer in ("REFUSES", "GETS", "MOVES"):
        house.node.ask("fetch-begin", peer=peer, studies=[f"{STUDY}.9"])
    house.asks("worklist", refresh=True)
    house.until(
        "object refused",
        "errand refused",
        "commitment refused",
        "peer=GETS error=",
        "peer=MOVES error=",
        "worklist not heard",
        "studies not looked for",
    )
    assert QUOTE in house.asks("queue")
    assert QUOTE in house.asks("fetch-list")
    (house.folder / "gone").rmdir()
    house.until("folder gone")


def test_the_log_has_no_patient(house: House) -> None:
    log = house.node.log
    assert leaks({"log": log.encode()}, TEXTS) == []
    # There was something to leave out, and the rest of it is still of use.
    assert len(re.findall(r"\(\.\.\.\)", log)) > 20
    for line in (
        r'object refused peer=REFUSES job=\d+ status="C123H .* \(\.\.\.\)"',
        r'errand refused peer=REFUSES status="0110H Processing failure \(\.\.\.\)" job=\d+',
        r'file not taken folder=drop file="\(inode \d+\)" why="[^"]{20,}"',
        r"worklist entry passed over .*\(inode \d+\)",
        r'fetch waits fetch=\d+ peer=REFUSES error="the query .*C001H.*\(\.\.\.\)',
        r'fetch waits fetch=\d+ peer=GETS error="A702H .*\(\.\.\.\)',
        r'fetch waits fetch=\d+ peer=MOVES error="A702H .*\(\.\.\.\)',
        r'object not taken onward peer=REFUSES status="Server: C123H .* \(\.\.\.\)"',
        r"medium came medium=\(",
    ):
        assert re.search(line, log), line
    inodes = {int(each) for each in re.findall(r"file not taken.*\(inode (\d+)\)", log)}
    kept = {each.stat().st_ino for each in (house.folder / "drop" / ".failed").rglob("*.*")}
    assert inodes <= kept


def test_metrics_and_alerts_have_no_patient(house: House) -> None:
    said = {"metrics": str(house.node.ask("metrics")).encode(), "alerts": house.alerts}
    assert b"gantry_queue_last_reason" in said["metrics"]
    assert leaks(said, TEXTS) == []


def test_a_bundle_has_no_patient(house: House) -> None:
    target = house.folder / "bundle.zip"
    words = ("--config", house.node.configuration, "--control", house.node.control)
    log = house.node.folder / "log"
    gantry("doctor", "--bundle", target, "--offline", "--log", log, *words).check()
    assert leaks(unpacked(target), TEXTS) == []


def test_who_asks_is_told_in_full(house: House) -> None:
    asked = "".join(
        house.asks(each)
        for each in ("queue", "status", "fetch-list", "import-list", "export-list", "exam-list")
    )
    for text in (NAME, NUMBER, BIRTH, ACCESSION, FILE):
        assert text in asked, text
    failed = house.folder / "drop" / ".failed"
    assert any(FILE in each.name for each in failed.rglob("*"))
