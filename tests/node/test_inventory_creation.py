"""Inventories made for a peer: requests, events, and the instances (PS3.4 KK.2)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE, evt

from tests.archive.filled_archive import fill, multiply
from tests.cli_of import gantry
from tests.node.running import NodeProcess
from tests.node.test_repository_query import IMAGES, SERIES, STUDIES, images
from tests.peers.process import free_port

CREATION = "1.2.840.10008.5.1.4.1.1.201.5"
INSTANCE = "1.2.840.10008.5.1.4.1.1.201.1.1"
FIND = "1.2.840.10008.5.1.4.1.1.201.2"
SERVES = "".join(
    f'[[entity.service]]\nname = "{name}"\nroles = ["scp"]\n'
    for name in ("inventory-creation", "non-patient-query", "non-patient-get")
)
INITIATE, STATUS, CANCEL, PAUSE, RESUME = 11, 12, 13, 14, 15


class Listener:
    """A pynetdicom SCU of inventories: takes the events, each of which comes with its type."""

    def __init__(self) -> None:
        self.events: list[tuple[int, Dataset]] = []
        self.instances: set[str] = set()
        self.port = free_port()
        self._come = threading.Condition()
        entity = AE(ae_title="ASKER")
        entity.add_supported_context(CREATION, scu_role=True, scp_role=True)
        self._server = entity.start_server(
            ("127.0.0.1", self.port),
            block=False,
            evt_handlers=[(evt.EVT_N_EVENT_REPORT, self.take)],
        )

    def take(self, event: Any) -> tuple[int, None]:
        with self._come:
            self.events.append((event.request.EventTypeID, event.event_information))
            self.instances.add(event.request.AffectedSOPInstanceUID)
            self._come.notify_all()
        return 0x0000, None

    def of(self, transaction: str) -> list[tuple[int, str]]:
        return [
            (kind, said.TransactionStatus)
            for kind, said in self.events
            if said.TransactionUID == transaction
        ]

    def wait(self, transaction: str, *kinds: int) -> Dataset:
        """The first event of one of these types."""
        end = time.monotonic() + 40
        with self._come:
            while True:
                for kind, said in self.events:
                    if kind in kinds and said.TransactionUID == transaction:
                        return said
                assert time.monotonic() < end, self.events
                self._come.wait(0.5)

    def close(self) -> None:
        self._server.shutdown()


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.close()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, listener: Listener) -> Iterator[NodeProcess]:
    peer = f'[[peer]]\nname = "ASKER"\naddresses = ["127.0.0.1:{listener.port}"]\n'
    peer += 'services = ["inventory-creation"]\n'
    made = NodeProcess(tmp_path_factory.mktemp("inventory") / "node", SERVES + peer)
    umlaut = next(images())
    umlaut.SpecificCharacterSet = "ISO_IR 100"
    umlaut.PatientName, umlaut.PatientID, umlaut.StudyDate = "Müller^Jörg", "U1", "20260101"
    umlaut.StudyInstanceUID, umlaut.SOPInstanceUID = "1.2.7", "1.2.7.1.1"
    umlaut.StudyTime, umlaut.AccessionNumber, umlaut.SeriesInstanceUID = "233000", "A1", "1.2.7.1"
    umlaut.Modality, umlaut.BodyPartExamined = "PT", "HEAD"
    fill(made.folder / "state" / "archive" / "main", [*images(), umlaut])
    with made:
        yield made


def request(level: str = "STUDY", **keys: Any) -> Dataset:
    """An Initiate; `general`, `uids` and `ranges` are items of the scope."""
    made = Dataset()
    made.TransactionUID = generate_uid()
    made.InventoryLevel = level
    made.InventoryPurpose = "Migration"
    item = Dataset()
    for name, keyword in (
        ("general", "GeneralMatchingSequence"),
        ("uids", "ListOfUIDMatchingSequence"),
        ("ranges", "RangeMatchingSequence"),
        ("empty", "EmptyValueMatchingSequence"),
    ):
        if name in keys:
            below = Dataset()
            for key, value in keys.pop(name).items():
                setattr(below, key, value)
            setattr(item, keyword, [below])
    for keyword, value in keys.items():
        setattr(item, keyword, value)
    made.ScopeOfInventorySequence = [item] if len(item) else []
    return made


def act(
    node: NodeProcess, action: int, information: Dataset, *, instance: str = INSTANCE, ae: str = ""
) -> Dataset:
    entity = AE(ae_title=ae or "ASKER")
    entity.add_requested_context(CREATION, ExplicitVRLittleEndian)
    commands: list[Dataset] = []
    association = entity.associate(
        "127.0.0.1",
        node.port,
        ae_title="GANTRY",
        # pynetdicom drops (0000,1005) of this response: the command set itself has it.
        evt_handlers=[
            (evt.EVT_DIMSE_RECV, lambda event: commands.append(event.message.command_set))
        ],
    )
    assert association.is_established
    association.send_n_action(information, action, CREATION, instance)
    association.release()
    return commands[0]


def follow(transaction: str, **more: Any) -> Dataset:
    made = Dataset()
    made.TransactionUID = transaction
    for keyword, value in more.items():
        setattr(made, keyword, value)
    return made


def stored(node: NodeProcess, uid: str) -> Dataset:
    for path in (node.folder / "state" / "archive" / "main" / "objects").rglob("*.dcm"):
        head = dcmread(path, specific_tags=["SOPInstanceUID"])
        if head.SOPInstanceUID == uid:
            return dcmread(path)
    raise AssertionError(uid)


@pytest.mark.parametrize("level", ["STUDY", "SERIES", "INSTANCE"])
def test_ps34_145_an_inventory_is_made_and_its_peer_is_told(
    node: NodeProcess, listener: Listener, level: str
) -> None:
    asked = request(level)
    assert act(node, INITIATE, asked).Status == 0
    told = listener.wait(asked.TransactionUID, 11, 13)
    assert told.TransactionStatus == "COMPLETE"
    assert told.TotalNumberOfStudyRecords == STUDIES + 1
    assert told.RetrieveAETitle == "GANTRY"
    states = listener.of(asked.TransactionUID)
    assert states[0] == (12, "PROCESSING")
    assert states[-2:] == [(12, "COMPLETE"), (11, "COMPLETE")]
    assert listener.instances == {INSTANCE}
    made = stored(node, told.ReferencedSOPInstanceUID)
    assert made.SOPClassUID == told.ReferencedSOPClassUID == "1.2.840.10008.5.1.4.1.1.201.1"
    assert made.TransactionUID == asked.TransactionUID
    assert made.InventoryPurpose == "Migration"
    assert (made.InventoryLevel, made.InventoryCompletionStatus) == (level, "COMPLETE")
    assert made.NumberOfStudyRecordsInInstance == STUDIES + 1
    assert len(made.InventoriedStudiesSequence) == STUDIES + 1
    (umlaut,) = (each for each in made.InventoriedStudiesSequence if each.PatientID == "U1")
    assert umlaut.PatientName == "Müller^Jörg"
    made.InventoriedStudiesSequence.remove(umlaut)
    wanted = {image.SOPInstanceUID: image for image in images()}
    uids = {each.StudyInstanceUID for each in made.InventoriedStudiesSequence}
    assert uids == {each.StudyInstanceUID for each in wanted.values()}
    found = []
    for study in made.InventoriedStudiesSequence:
        assert study.NumberOfStudyRelatedInstances == SERIES * IMAGES
        assert study.PatientName == "Doe^" + study.PatientID[1:]
        assert ("InventoriedSeriesSequence" in study) == (level != "STUDY")
        for series in study.get("InventoriedSeriesSequence", []):
            assert series.SeriesInstanceUID.startswith(study.StudyInstanceUID + ".")
            assert ("InventoriedInstancesSequence" in series) == (level == "INSTANCE")
            for each in series.get("InventoriedInstancesSequence", []):
                assert wanted[each.SOPInstanceUID].SeriesInstanceUID == series.SeriesInstanceUID
                assert each.SOPClassUID == wanted[each.SOPInstanceUID].SOPClassUID
                found.append(each.SOPInstanceUID)
    assert sorted(found) == (sorted(wanted) if level == "INSTANCE" else [])


def test_an_inventory_is_found_by_its_transaction(node: NodeProcess, listener: Listener) -> None:
    asked = request("STUDY", general={"PatientID": "P1"})
    assert act(node, INITIATE, asked).Status == 0
    told = listener.wait(asked.TransactionUID, 11, 13)
    entity = AE(ae_title="ASKER")
    entity.add_requested_context(FIND)
    association = entity.associate("127.0.0.1", node.port, ae_title="GANTRY")
    keys = follow(asked.TransactionUID, SOPInstanceUID="", TotalNumberOfStudyRecords=None)
    keys.InventoryCompletionStatus = ""
    keys.ScopeOfInventorySequence = []
    answers = list(association.send_c_find(keys, FIND))
    association.release()
    assert [status.Status for status, _ in answers] == [0xFF00, 0]
    found = answers[0][1]
    assert found.SOPInstanceUID == told.ReferencedSOPInstanceUID
    assert found.TotalNumberOfStudyRecords == 6
    assert found.RetrieveAETitle == "GANTRY"
    (scope,) = found.ScopeOfInventorySequence
    assert scope.GeneralMatchingSequence[0].PatientID == "P1"


def inventory_of(node: NodeProcess, listener: Listener, asked: Dataset, records: int) -> Dataset:
    """What is made of a request, and has so many studies."""
    assert act(node, INITIATE, asked).Status == 0
    told = listener.wait(asked.TransactionUID, 11, 13)
    assert told.TotalNumberOfStudyRecords == records
    return stored(node, told.ReferencedSOPInstanceUID)


@pytest.mark.parametrize(
    ("keys", "records"),
    [
        ({"general": {"PatientName": "doe^2"}}, 6),
        ({"general": {"PatientID": "P?"}}, 23),
        ({"uids": {"StudyInstanceUID": ["1.2.9.1", "1.2.9.5", "9.9"]}}, 2),
        ({"ranges": {"StudyDate": "20260702-20260703"}}, 10),
        ({"ranges": {"StudyDate": ["20260702", "20260703"]}}, 10),
        ({"general": {"PatientName": "Müller*"}, "SpecificCharacterSet": "ISO_IR 100"}, 1),
        ({"general": {"PatientID": "nobody"}}, 0),
    ],
)
def test_the_scope_says_which_studies(
    node: NodeProcess, listener: Listener, keys: dict[str, Any], records: int
) -> None:
    asked = request("STUDY", **keys)
    made = inventory_of(node, listener, asked, records)
    assert len(made.InventoriedStudiesSequence) == records
    (scope,) = made.ScopeOfInventorySequence
    for name in ("GeneralMatchingSequence", "ListOfUIDMatchingSequence", "RangeMatchingSequence"):
        asked_for = asked.ScopeOfInventorySequence[0].get(name)
        assert (name in scope) == (asked_for is not None)
        if asked_for is not None:
            (key,) = asked_for[0]
            assert scope[name][0][key.tag].value == key.value


RELATIONAL = {"ExtendedMatchingMechanisms": "RELATIONAL"}


@pytest.mark.parametrize(
    ("keys", "records"),
    [
        ({"general": {"PatientName": "Meuller^Jorg"}}, 0),
        ({"general": {"PatientName": "Mueller^Jorg"}, "ExtendedMatchingMechanisms": "FUZZY"}, 1),
        ({"general": {"AccessionNumber": '""'}}, 23),
        ({"empty": {"AccessionNumber": ""}, "ExtendedMatchingMechanisms": "EMPTY_VALUE"}, 23),
        ({"general": {"ModalitiesInStudy": ["CT", "PT"]}}, 24),
        (
            {
                "general": {"ModalitiesInStudy": ["CT", "MR"]},
                "ExtendedMatchingMechanisms": "MULTIPLE_VALUE",
            },
            23,
        ),
        (
            {
                "general": {"Modality": "PT", "PatientName": "M*"},
                "QueryRetrieveLevel": "SERIES",
                **RELATIONAL,
            },
            1,
        ),
        ({"general": {"Modality": "MR"}, "QueryRetrieveLevel": "SERIES", **RELATIONAL}, 23),
        (
            {
                "uids": {"SOPInstanceUID": ["1.2.9.4.0.1", "1.2.9.8.2.0", "9.9"]},
                "general": {"Modality": "CT"},
                "QueryRetrieveLevel": "IMAGE",
                **RELATIONAL,
            },
            1,
        ),
    ],
)
def test_ps34_145_extended_mechanisms_say_which_studies(
    node: NodeProcess, listener: Listener, keys: dict[str, Any], records: int
) -> None:
    asked = request("STUDY", **keys)
    made = inventory_of(node, listener, asked, records)
    (scope,) = made.ScopeOfInventorySequence
    assert scope == asked.ScopeOfInventorySequence[0], "as it was asked"


def test_ps34_145_what_is_not_supported_is_said(node: NodeProcess, listener: Listener) -> None:
    for wrong in (
        request("PATIENT"),
        request("STUDY", ExtendedMatchingMechanisms="TELEPATHY", general={"PatientName": "Doe"}),
        request("STUDY", SpecificCharacterSet="ISO_IR 999", general={"PatientName": "Doe"}),
    ):
        status = act(node, INITIATE, wrong)
        assert status.Status == 0x0212
        assert status.ErrorComment
    asked = request("STUDY", general={"PatientID": "P1", "Modality": "CT", "Rows": 5})
    status = act(node, INITIATE, asked)
    assert status.Status == 0xB010
    assert [int(each) for each in status.AttributeIdentifierList] == [0x00080060, 0x00280010]
    told = listener.wait(asked.TransactionUID, 11, 13)
    (scope,) = stored(node, told.ReferencedSOPInstanceUID).ScopeOfInventorySequence
    assert scope.GeneralMatchingSequence[0].dir() == ["PatientID"], "only what was matched"


def test_requests_that_cannot_be_are_refused(node: NodeProcess, listener: Listener) -> None:
    asked = request()
    assert act(node, INITIATE, asked, instance="1.2.3").Status == 0x0112
    assert act(node, 16, asked).Status == 0x0123
    assert act(node, INITIATE, asked, ae="NOBODY").Status == 0x0124
    assert act(node, PAUSE, follow(generate_uid())).Status == 0x0110
    nothing = request()
    nothing.TransactionUID = ""
    assert act(node, INITIATE, nothing).Status == 0x0115
    nothing.TransactionUID = "../../etc/passwd"
    assert act(node, INITIATE, nothing).Status == 0x0115
    assert act(node, INITIATE, asked).Status == 0
    listener.wait(asked.TransactionUID, 11)
    assert act(node, INITIATE, asked).Status == 0x0110, "a Transaction UID is not used again"
    cancel = follow(asked.TransactionUID, RetainInstances="N")
    assert act(node, CANCEL, cancel).Status == 0x0110, "it is over"
    before = len(listener.of(asked.TransactionUID))
    assert act(node, STATUS, follow(asked.TransactionUID)).Status == 0
    end = time.monotonic() + 10
    while len(listener.of(asked.TransactionUID)) == before:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert listener.of(asked.TransactionUID)[-1] == (12, "COMPLETE")


def test_ps34_145_states_change_as_asked_and_outlive_a_restart(
    tmp_path: Path, listener: Listener
) -> None:
    """Paused, and the node killed; resumed one goes on, of the others one is kept as it is."""
    peer = f'[[peer]]\nname = "ASKER"\naddresses = ["127.0.0.1:{listener.port}"]\n'
    peer += 'services = ["inventory-creation"]\n'
    node = NodeProcess(tmp_path / "node", SERVES + peer)
    archive = node.folder / "state" / "archive" / "main"
    fill(archive, images())
    # So many that none is complete before it is paused.
    multiply(archive, 8_000)
    first, second, third = request("INSTANCE"), request("INSTANCE"), request("INSTANCE")
    with node:
        for asked in (first, second, third):
            with_actions(node, asked, PAUSE)
        wait_for(listener, first.TransactionUID, (12, "PAUSED"))
        wait_for(listener, second.TransactionUID, (12, "PAUSED"))
        wait_for(listener, third.TransactionUID, (12, "PAUSED"))
        node.kill()
    with node:
        assert act(node, RESUME, follow(first.TransactionUID)).Status == 0
        # And once more, while it is at work.
        time.sleep(0.4)
        node.kill()
    with node:
        kept = follow(second.TransactionUID, RetainInstances="Y")
        assert act(node, CANCEL, kept).Status == 0
        gone = follow(third.TransactionUID, RetainInstances="N")
        assert act(node, CANCEL, gone).Status == 0
        told = listener.wait(first.TransactionUID, 11, 13)
        assert told.TransactionStatus == "COMPLETE"
        assert told.TotalNumberOfStudyRecords == STUDIES + 8_000
        told = listener.wait(second.TransactionUID, 11, 13)
        assert told.TransactionStatus == "CANCELED"
        made = stored(node, told.ReferencedSOPInstanceUID)
        assert made.InventoryCompletionStatus == "CANCELED"
        assert made.NumberOfStudyRecordsInInstance == told.TotalNumberOfStudyRecords < 8_000
        listener.wait(third.TransactionUID, 13)
    states = listener.of(first.TransactionUID)
    assert states.index((12, "PAUSED")) < len(states) - 1 - states[::-1].index((12, "PROCESSING"))
    assert listener.of(third.TransactionUID)[-2:] == [(12, "CANCELED"), (13, "CANCELED")]


def test_gantry_has_an_inventory_made_and_follows_it(tmp_path: Path) -> None:
    port = free_port()
    peer = f'[[peer]]\nname = "GANTRY2"\naddresses = ["127.0.0.1:{port}"]\n'
    peer += 'services = ["inventory-creation"]\n'
    node = NodeProcess(tmp_path / "node", SERVES + peer)
    fill(node.folder / "state" / "archive" / "main", images())
    words = ("inventory", f"127.0.0.1:{node.port}", "--called", "GANTRY", "--calling", "GANTRY2")
    with node:
        done = gantry(*words, "--port", str(port), "initiate", "PatientID=P1", "Rows=5")
        assert done.returncode == 0, done.output
        assert "not matched: Rows" in done.output
        assert "Inventory Status; PROCESSING" in done.output
        (last,) = [line for line in done.output.splitlines() if "with Instances" in line]
        assert "COMPLETE; 6 studies; ReferencedSOPInstanceUID" in last
        assert "RetrieveAETitle GANTRY" in last
        done = gantry(*words, "cancel", "--transaction", "1.2.3")
        assert done.returncode == 1
        assert "no such transaction" in done.output
        done = gantry(
            *words, "--port", str(port), "initiate", "Modality=MR", 'AccessionNumber=""',
            "StudyDate=20260702-20260703", "StudyTime=000000-235959", "--level", "STUDY",
            "--mechanism", "RELATIONAL", "--matching-level", "SERIES",
            "--mechanism", "EMPTY_VALUE", "--mechanism", "timezone_adjust",
        )  # fmt: skip
        assert done.returncode == 0, done.output
        assert "COMPLETE; 10 studies" in done.output
        assert gantry(*words, "initiate", "--mechanism", "RELATIONAL").returncode == 2
        assert gantry(*words, "pause").returncode == 2, "which one?"


def test_gantry_asks_as_the_tables_say() -> None:
    """Against an SCP of pynetdicom."""
    asked: list[tuple[int, Dataset]] = []

    def take(event: Any) -> tuple[int, None]:
        asked.append((event.request.ActionTypeID, event.action_information))
        assert event.request.RequestedSOPInstanceUID == INSTANCE
        return 0x0000, None

    entity = AE(ae_title="PEER")
    entity.add_supported_context(CREATION)
    port = free_port()
    server = entity.start_server(
        ("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_N_ACTION, take)]
    )
    assert server is not None
    where = ("inventory", f"127.0.0.1:{port}", "--called", "PEER")
    keys = ("PatientName=Müller*", "StudyDate=20260101-20260131", "StudyInstanceUID=1.2\\1.3")
    gantry(*where, "initiate", *keys, "--level", "series", "--interval", "5").check()
    for action in ("status", "pause", "resume", "cancel"):
        gantry(*where, action, "--transaction", "1.2.3").check()
    server.shutdown()
    assert [action for action, _ in asked] == [11, 12, 14, 15, 13]
    initiate = asked[0][1]
    assert (initiate.InventoryLevel, initiate.RequestedStatusInterval) == ("SERIES", 5)
    (scope,) = initiate.ScopeOfInventorySequence
    assert scope.GeneralMatchingSequence[0].PatientName == "Müller*"
    assert scope.RangeMatchingSequence[0].StudyDate == "20260101-20260131"
    assert list(scope.ListOfUIDMatchingSequence[0].StudyInstanceUID) == ["1.2", "1.3"]
    assert asked[-1][1].RetainInstances == "Y"
    assert all(said.TransactionUID == "1.2.3" for _, said in asked[1:])


def with_actions(node: NodeProcess, asked: Dataset, *actions: int) -> None:
    """Initiate, and further actions on the same association, all in one go."""
    entity = AE(ae_title="ASKER")
    entity.add_requested_context(CREATION, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", node.port, ae_title="GANTRY")
    association.send_n_action(asked, INITIATE, CREATION, INSTANCE)
    for action in actions:
        association.send_n_action(follow(asked.TransactionUID), action, CREATION, INSTANCE)
    association.release()


def wait_for(listener: Listener, transaction: str, state: tuple[int, str]) -> None:
    end = time.monotonic() + 30
    while state not in listener.of(transaction):
        assert time.monotonic() < end, listener.of(transaction)
        time.sleep(0.05)
