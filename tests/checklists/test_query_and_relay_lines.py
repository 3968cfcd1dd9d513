"""What statements say of queries and relays, from the query to the objects (CD-14, MX, RV-18)."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pynetdicom import AE, evt

from tests.bench.objects import Load, make_objects
from tests.checklists.query_archive import uid, write_all
from tests.checklists.retrieving import CT, EXPLICIT, Made, store
from tests.checklists.test_profiles import ProfileNode
from tests.checklists.test_query_lines import MANY, add_many
from tests.cli_of import gantry
from tests.node.running import NodeProcess
from tests.node.test_fetch import QUICK, over, source, stored
from tests.node.test_memory import memory_of
from tests.node.test_study_rules import day
from tests.peers.dcmtk import DcmtkQueryRetrieveScp, DcmtkStoreScp, findscu, storescu
from tests.peers.orthanc import Orthanc
from tests.peers.process import free_port, wait_until
from tests.peers.querying import ScriptedArchive

pytestmark = pytest.mark.peer

STUDY = "1.2.826.0.1.3680043.9.91"
FIND, MOVE = "1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.5.1.4.1.2.2.2"


class Misleading:
    """An archive of pynetdicom with one study, which says that another AE has it."""

    def __init__(self, destination: int) -> None:
        self.port = free_port()
        self.moved: list[Dataset] = []
        self._destination = destination
        self._objects = [self._object(number) for number in (1, 2, 3)]
        entity = AE(ae_title="FAR")
        entity.add_supported_context(FIND)
        entity.add_supported_context(MOVE)
        entity.add_requested_context(CT, EXPLICIT)
        self._server: Any = entity.start_server(
            ("127.0.0.1", self.port),
            block=False,
            evt_handlers=[(evt.EVT_C_FIND, self._find), (evt.EVT_C_MOVE, self._move)],
        )

    def close(self) -> None:
        self._server.shutdown()

    @property
    def uids(self) -> set[str]:
        return {str(each.SOPInstanceUID) for each in self._objects}

    @staticmethod
    def _object(number: int) -> Dataset:
        made = Dataset()
        made.SOPClassUID, made.SOPInstanceUID = CT, f"{STUDY}.1.{number}"
        made.StudyInstanceUID, made.SeriesInstanceUID = STUDY, f"{STUDY}.1"
        made.PatientID, made.PatientName, made.Modality = "P1", "Doe^Jane", "CT"
        made.StudyDate, made.InstanceNumber = day(1).decode(), number
        made.file_meta = FileMetaDataset()
        made.file_meta.TransferSyntaxUID = EXPLICIT
        return made

    def _find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        asked = event.identifier
        level = asked.QueryRetrieveLevel
        for held in self._objects if level == "IMAGE" else self._objects[:1]:
            answer = Dataset()
            for element in asked:
                answer[element.tag] = held.get(element.tag, element)
            answer.QueryRetrieveLevel = level
            answer.RetrieveAETitle, answer.InstanceAvailability = "ELSEWHERE", "ONLINE"
            yield 0xFF00, answer

    def _move(self, event: Any) -> Iterator[Any]:
        self.moved.append(event.identifier)
        assert event.move_destination == "GANTRY"
        yield "127.0.0.1", self._destination
        yield len(self._objects)
        for each in self._objects:
            yield 0xFF00, each


def test_cd_14_a_study_is_moved_from_who_answered_whatever_ae_the_answer_names(
    tmp_path: Path,
) -> None:
    node = NodeProcess(tmp_path / "near", accept='calling = "any"\nsolicited = true')
    far = Misleading(node.port)
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.setblocking(False)
        node.write(
            source("FAR", far.port, '"query", "move"')
            + source("ELSEWHERE", elsewhere.getsockname()[1], '"query", "move", "get"')
            + '[[precache]]\nname = "days"\npeer = ["FAR"]\nevery = "5 s"\ndays_before = 3\n'
        )
        with node:
            wait_until(lambda: stored(node, STUDY) == far.uids, "all instances are here")
            (done,) = node.ask("fetch-list")["items"]
            assert over(node, done["id"])["state"] == "COMPLETED"
            (asked,) = far.moved
            assert asked.StudyInstanceUID == STUDY
        with pytest.raises(BlockingIOError):
            elsewhere.accept()
    far.close()


def test_cd_14_dcmqrscp_is_asked_and_sends_all(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path / "near", accept='calling = "any"\nsolicited = true')
    objects = [Made(f"{STUDY}.{n}", STUDY, more={0x00080020: (b"DA", day(1))}) for n in (1, 2, 3)]
    titles = {"GANTRY": ("127.0.0.1", node.port)}
    with DcmtkQueryRetrieveScp(tmp_path / "far", move_destinations=titles) as far:
        store(far.port, objects, window=1, called=far.ae_title)
        node.write(
            source("FAR", far.port, '"query", "move"', title=far.ae_title)
            + '[[precache]]\nname = "days"\npeer = ["FAR"]\nevery = "5 s"\ndays_before = 3\n'
        )
        with node:
            wait_until(
                lambda: stored(node, STUDY) == {each.uid for each in objects}, "all are here"
            )


def test_mx_25_a_cancel_ends_a_query_of_ten_thousand_images(tmp_path: Path) -> None:
    peers = '[[peer]]\nname = "VIEWER"\n'
    node = ProfileNode(tmp_path, "mxview", ["DS", "MS", "SC"], peers)
    with node:
        node.stop()
    add_many(tmp_path / "state" / "archive" / "disk")
    with node:
        done = findscu(
            node.ports["DS"], "QueryRetrieveLevel=IMAGE", f"StudyInstanceUID={uid(99)}",
            f"SeriesInstanceUID={uid(99, 1)}", "SOPInstanceUID", called="DS", calling="VIEWER",
            options=("-S", "--cancel", "3"),
        )  # fmt: skip
    assert "Cancel" in done.output
    assert 3 <= done.output.count("(Pending)") < MANY // 2


SCAN_KEYS = {
    "STUDY": "StudyDate StudyTime AccessionNumber PatientName PatientID StudyID StudyInstanceUID"
    " ReferringPhysicianName ModalitiesInStudy PatientBirthDate PatientSex"
    " NumberOfStudyRelatedSeries NumberOfStudyRelatedInstances",
    "SERIES": "Modality SeriesNumber SeriesInstanceUID NumberOfSeriesRelatedInstances"
    " SeriesDescription SeriesDate SeriesTime ProtocolName BodyPartExamined"
    " PerformedProcedureStepStartDate PerformedProcedureStepStartTime",
    "IMAGE": "InstanceNumber SOPInstanceUID SOPClassUID ContentDate ContentTime ImageType"
    " SliceLocation Rows Columns ContrastBolusAgent InstanceCreationDate InstanceCreationTime"
    " GantryDetectorTilt SequenceName EchoNumbers TriggerTime",
}
"""Tables 27 to 29 of the statement, with the tags that the checklist has mended."""


def asked_of_a_scan(level: str) -> list[str]:
    """The words for a query of a level below those above it."""
    above = {"STUDY": (), "SERIES": (f"StudyInstanceUID={uid(1)}",)}
    above["IMAGE"] = (*above["SERIES"], f"SeriesInstanceUID={uid(1, 1)}")
    return ["--exactly", "--level", level, *above[level], *SCAN_KEYS[level].split()]


def test_mx_31_studies_series_and_images_are_asked_for_with_exactly_the_keys_of_the_statement() -> (
    None
):
    with ScriptedArchive() as scripted:
        for level in SCAN_KEYS:
            gantry("find", f"127.0.0.1:{scripted.port}", *asked_of_a_scan(level)).check()
        assert not any(scripted.offered), "hierarchical, and nothing negotiated"
    above: tuple[str, ...] = ()
    for (level, keys), asked in zip(SCAN_KEYS.items(), scripted.asked, strict=True):
        assert set(asked.dir()) == {"QueryRetrieveLevel", *above, *keys.split()}
        assert asked.QueryRetrieveLevel == level
        above = (*above, f"{level.capitalize()}InstanceUID")


@pytest.mark.parametrize("kind", [DcmtkQueryRetrieveScp, Orthanc])
def test_mx_31_archives_of_others_answer_each_level(
    tmp_path: Path, kind: Callable[..., Any]
) -> None:
    more = {} if kind is DcmtkQueryRetrieveScp else {"modalities": {"SCAN": ("127.0.0.1", 1)}}
    with kind(tmp_path / "far", **more) as far:
        storescu(far.port, *write_all(tmp_path / "files"), called=far.ae_title).check()
        for level, count in (("STUDY", 6), ("SERIES", 2), ("IMAGE", 2)):
            done = gantry(
                "find", f"127.0.0.1:{far.port}", "--called", far.ae_title, "--calling", "SCAN",
                *asked_of_a_scan(level), "--json",
            ).check()  # fmt: skip
            assert done.output.count('"00080052"') == count, done.output


def test_mx_32_a_series_is_loaded_into_the_memory_server_and_not_onto_the_disk(
    tmp_path: Path,
) -> None:
    objects = [Made(f"{STUDY}.{n}", STUDY) for n in (1, 2, 3)]
    node = ProfileNode(tmp_path / "near", "mxview", ["DS", "MS", "SC"])
    titles = {"MS": ("127.0.0.1", node.ports["MS"])}
    with DcmtkQueryRetrieveScp(tmp_path / "far", move_destinations=titles) as far:
        store(far.port, objects, window=1, called=far.ae_title)
        table = source("FAR", far.port, '"query", "move"', title=far.ae_title)
        table = table.replace(QUICK, '[peer.fetch]\nentity = "MS"\n' + QUICK)
        viewer = '[[peer]]\nname = "VIEWER"\n'
        node.configuration.write_text(node.configuration.read_text() + table + viewer)
        with node:
            (begun,) = node.ask(
                "fetch-begin", peer="FAR", studies=[STUDY], series=f"{STUDY}.1"
            )["items"]  # fmt: skip
            done = over(node, begun["id"])
            assert (done["state"], done["done"]) == ("COMPLETED", 3), done
            held = node.ask("instances", study_instance_uid=STUDY, archive="memory")["items"]
            assert {each for _, each in held} == {each.uid for each in objects}
            found = findscu(
                node.ports["DS"], "QueryRetrieveLevel=STUDY", "StudyInstanceUID", called="DS",
                calling="VIEWER",
            )  # fmt: skip
            found.check()
            assert STUDY not in found.output
            assert node.ask("studies", archive="disk")["items"] == []


def test_mx_33_the_memory_server_refuses_at_its_limit_and_takes_more_after_a_release(
    tmp_path: Path,
) -> None:
    limit = 4 << 20
    files = sorted(make_objects(tmp_path / "objects", Load("x", 128 << 10, 40)).iterdir())
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
        more = f'[[archive]]\nname = "memory"\nfolder = "{memory}/archive"\nquota = {limit}\n'
        more += '[[peer]]\nname = "VIEWER"\n'
        node = ProfileNode(tmp_path / "node", "mxview", ["DS", "MS", "SC"], more)

        def is_taken(file: Path) -> bool:
            said = storescu(node.ports["MS"], file, called="MS", calling="VIEWER", options=["-d"])
            assert "0x0000: Success" in said.output or "0xa700" in said.output.lower(), said.output
            return "0x0000: Success" in said.output

        with node:
            assert is_taken(files[0])
            before = memory_of(node)
            taken = [is_taken(each) for each in files[1:]]
            assert 25 < sum(taken) < 32 and not any(taken[sum(taken) :])
            held = sum(each.stat().st_size for each in Path(memory).rglob("*.dcm"))
            assert held <= limit
            # What is held lies in the tmpfs; the processes hold none of it.
            assert memory_of(node) - before < 4 << 20
            assert node.ask("studies", archive="disk")["items"] == []
            for study in node.ask("studies", archive="memory")["items"]:
                node.ask("delete", level="study", uid=study["study_instance_uid"], archive="memory")
            assert is_taken(files[-1])


def test_rv_18_what_was_retrieved_is_sent_on_once_each_though_the_node_is_killed(
    tmp_path: Path,
) -> None:
    objects = [Made(f"{STUDY}.{n}", STUDY) for n in range(1, 9)]
    target = DcmtkStoreScp(tmp_path / "target", "--fork", port=free_port())
    node = NodeProcess(tmp_path / "near")
    route = '[[route]]\nname = "on"\ndeliver = ["TARGET"]\n[route.match]\nsource = ["fetch"]\n'
    with DcmtkQueryRetrieveScp(tmp_path / "far") as far:
        store(far.port, objects, window=1, called=far.ae_title)
        node.write(
            source("FAR", far.port, '"query", "get"', title=far.ae_title)
            + source("TARGET", target.port, '"storage"')
            + route
        )
        with node:
            # The target is away: killed in the retrieval, and with all of them in the queue.
            (begun,) = node.ask("fetch-begin", peer="FAR", studies=[STUDY])["items"]
            wait_until(lambda: len(node.objects()) >= 2, "some objects came")
            node.kill()
            node.start()
            assert over(node, begun["id"])["state"] == "COMPLETED"
            node.kill()
            with target:
                node.start()
                target.wait_for_files(len(objects))
                wait_until(lambda: not node.ask("queue")["items"], "nothing waits")
                log = target.log.read_text()
            names = {path.name.partition(".")[2] for path in target.received()}
            assert names == {each.uid for each in objects}
            assert log.count("Received Store Request") == len(objects)
