"""Non-patient objects over the wire: stored, found, moved and got (PS3.4 GG, U, X, BB, HH-JJ)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association

from agent.archive.object_keys import object_keys
from agent.archive.object_models import OBJECT_MODEL_NAMES
from agent.archive.well_known_palettes import WELL_KNOWN_PALETTES
from tests.archive.filled_archive import write
from tests.archive.test_object_query import IDS, MODELS, instance, uid_of
from tests.cli_of import gantry
from tests.node.running import NodeProcess
from tests.peers.process import free_port

SERVES = "".join(
    f'[[entity.service]]\nname = "{name}"\nroles = ["scp"]\n'
    for name in (
        "non-patient-object-storage",
        "non-patient-query",
        "non-patient-move",
        "non-patient-get",
    )
)


class Receiver:
    """A pynetdicom SCP that keeps what it is sent."""

    def __init__(self, title: str) -> None:
        self.received: list[Dataset] = []
        self.port = free_port()
        self._entity = AE(ae_title=title)
        for _, model in MODELS:
            for uid in model.stored:
                self._entity.add_supported_context(uid)
        self._server: Any = None

    def take(self, event: Any) -> int:
        found = event.dataset
        found.file_meta = event.file_meta
        self.received.append(found)
        return 0

    def __enter__(self) -> Receiver:
        self._server = self._entity.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=[(evt.EVT_C_STORE, self.take)]
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver("DEST") as made:
        yield made


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[NodeProcess]:
    """A node that was sent two objects of each model."""
    destination = (
        f'[[peer]]\nname = "DEST"\naddresses = ["127.0.0.1:{receiver.port}"]\n'
        'services = ["storage"]\n'
    )
    folder = tmp_path_factory.mktemp("objects")
    with NodeProcess(folder / "node", SERVES + destination) as made:
        for name, model in MODELS:
            with associated(made.port, *model.stored) as association:
                for number in (0, 1):
                    found = instance(name, model, number)
                    write(folder / "object.dcm", found)
                    status = association.send_c_store(folder / "object.dcm")
                    assert status.Status == 0, (name, status)
        yield made


def peer(node: NodeProcess) -> tuple[str, ...]:
    """What a person types."""
    return f"127.0.0.1:{node.port}", "--called", "GANTRY"


class associated:
    """An association of pynetdicom for these SOP classes."""

    def __init__(self, port: int, *classes: str, **more: Any) -> None:
        entity = AE(ae_title="TEST")
        for uid in classes:
            entity.add_requested_context(uid, ExplicitVRLittleEndian)
        self.association: Association = entity.associate(
            "127.0.0.1", port, ae_title="GANTRY", **more
        )
        assert self.association.is_established

    def __enter__(self) -> Association:
        return self.association

    def __exit__(self, *_: object) -> None:
        self.association.release()


@pytest.mark.parametrize(("name", "model"), MODELS, ids=IDS)
def test_cd_34_pynetdicom_finds_gets_and_moves(
    node: NodeProcess, receiver: Receiver, name: str, model: Any
) -> None:
    keys = Dataset()
    for row in object_keys(model).values():
        setattr(keys, row.keyword, [] if row.items else None)
    keys.SOPInstanceUID = uid_of(name, 1)
    uids = Dataset()
    uids.SOPInstanceUID = [uid_of(name, 0), uid_of(name, 1)]
    got: list[str] = []

    def take(event: Any) -> int:
        got.append(event.dataset.SOPInstanceUID)
        return 0

    roles = [build_role(uid, scp_role=True) for uid in model.stored]
    with associated(
        node.port,
        model.find,
        model.get,
        model.move,
        *model.stored,
        ext_neg=roles,
        evt_handlers=[(evt.EVT_C_STORE, take)],
    ) as association:
        answers = list(association.send_c_find(keys, model.find))
        assert [status.Status for status, _ in answers] == [0xFF00, 0x0000]
        found = answers[0][1]
        assert found.SOPInstanceUID == uid_of(name, 1)
        assert {row.keyword for row in object_keys(model).values()} <= set(found.dir())
        statuses = list(association.send_c_get(uids, model.get))
        assert statuses[-1][0].Status == 0
        assert statuses[-1][0].NumberOfCompletedSuboperations == 2
        assert sorted(got) == [uid_of(name, 0), uid_of(name, 1)]
        receiver.received.clear()
        statuses = list(association.send_c_move(uids, "DEST", model.move))
        assert statuses[-1][0].Status == 0
        assert sorted(each.SOPInstanceUID for each in receiver.received) == sorted(got)


def test_an_object_of_another_model_is_not_to_be_had(node: NodeProcess) -> None:
    model = OBJECT_MODEL_NAMES["hanging-protocol"]
    uids = Dataset()
    uids.SOPInstanceUID = uid_of("inventory", 0)
    with associated(node.port, model.get, *model.stored) as association:
        (status, _) = list(association.send_c_get(uids, model.get))[-1]
        assert (status.Status, status.NumberOfCompletedSuboperations) == (0, 0)
        nothing = Dataset()
        nothing.PatientID = "P1"
        (status, _) = list(association.send_c_get(nothing, model.get))[-1]
        assert status.Status == 0xA900, "no SOP Instance UID at all"


def test_negotiation_is_that_of_worklists(node: NodeProcess) -> None:
    """PS3.4 K.5.1: three bytes by three, four by four, the first two always 1."""
    from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation

    model = OBJECT_MODEL_NAMES["protocol-approval"]
    for asked, answered in ((b"\1\1\1", b"\1\1\1"), (b"\1\1\0\1", b"\1\1\0\1"), (b"\1", None)):
        item = SOPClassExtendedNegotiation()
        item.sop_class_uid = model.find
        item.service_class_application_information = asked
        with associated(node.port, model.find, ext_neg=[item]) as association:
            assert association.acceptor.sop_class_extended.get(model.find) == answered


def test_cd_34_a_well_known_palette_is_got_although_nobody_stored_it(
    node: NodeProcess, tmp_path: Path
) -> None:
    done = gantry(
        "get",
        *peer(node),
        "--model",
        "color-palette",
        f"SOPInstanceUID={WELL_KNOWN_PALETTES[0]}",
        "--into",
        str(tmp_path / "got"),
        "--no-sync",
    )
    assert done.returncode == 0, done.output
    (file,) = (tmp_path / "got").rglob("*.dcm")
    palette = dcmread(file)
    assert palette.SOPInstanceUID == WELL_KNOWN_PALETTES[0]
    # PS3.6 Table B.1-1: black, then red, then yellow to white.
    red = palette.RedPaletteColorLookupTableData
    assert (red[0], red[128], red[255]) == (0, 255, 255)
    assert palette.BluePaletteColorLookupTableData[191] == 0


@pytest.mark.parametrize("name", ["hanging-protocol", "defined-procedure-protocol", "inventory"])
def test_gantry_finds_and_moves(node: NodeProcess, receiver: Receiver, name: str) -> None:
    uid = uid_of(name, 1)
    done = gantry("find", *peer(node), "--model", name, f"SOPInstanceUID={uid}", "--json")
    assert done.returncode == 0, done.output
    (line,) = [each for each in done.output.splitlines() if each.startswith("{")]
    assert f'"{uid}"' in line
    receiver.received.clear()
    done = gantry(
        "move", *peer(node), "--model", name, "--to", "DEST", f"SOPInstanceUID={uid}", "--json"
    )
    assert done.returncode == 0, done.output
    assert [each.SOPInstanceUID for each in receiver.received] == [uid]


@pytest.fixture
def pynetdicom_archive() -> Iterator[tuple[int, list[tuple[str, Dataset]]]]:
    """An SCP that finds one palette, and remembers what it was asked."""
    model = OBJECT_MODEL_NAMES["color-palette"]
    asked: list[tuple[str, Dataset]] = []

    def found(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        asked.append(("find", event.identifier))
        answer = instance("color-palette", model, 0)
        yield 0xFF00, answer

    def moved(event: Any) -> Iterator[Any]:
        asked.append(("move", event.identifier))
        yield None, None

    def got(event: Any) -> Iterator[Any]:
        asked.append(("get", event.identifier))
        yield 0

    entity = AE(ae_title="PEER")
    for uid in (model.find, model.move, model.get):
        entity.add_supported_context(uid)
    for uid in model.stored:
        entity.add_supported_context(uid, scu_role=True, scp_role=True)
    port = free_port()
    server = entity.start_server(
        ("127.0.0.1", port),
        block=False,
        evt_handlers=[(evt.EVT_C_FIND, found), (evt.EVT_C_MOVE, moved), (evt.EVT_C_GET, got)],
    )
    assert server is not None
    yield port, asked
    server.shutdown()


def test_ps34_142_requests_have_uids_and_no_level(
    pynetdicom_archive: tuple[int, list[tuple[str, Dataset]]], tmp_path: Path
) -> None:
    port, asked = pynetdicom_archive
    where = (f"127.0.0.1:{port}", "--called", "PEER", "--model", "color-palette")
    done = gantry("find", *where, "ContentLabel=A*", "SOPInstanceUID")
    assert done.returncode == 0, done.output
    assert uid_of("color-palette", 0) in done.output
    gantry("get", *where, "SOPInstanceUID=1.2.3\\1.2.4", "--into", tmp_path / "got", "--no-sync")
    gantry("move", *where, "--to", "DEST", "SOPInstanceUID=1.2.3")
    assert [name for name, _ in asked] == ["find", "get", "move"]
    assert sorted(asked[0][1].dir()) == ["ContentLabel", "SOPInstanceUID"]
    for _, identifier in asked[1:]:
        assert identifier.dir() == ["SOPInstanceUID"]
    assert list(asked[1][1].SOPInstanceUID) == ["1.2.3", "1.2.4"]


def test_ps34_144_a_protocol_comes_back_with_all_its_constraints(
    node: NodeProcess, tmp_path: Path
) -> None:
    """Modifiable Constraint Flag NO, private attributes and all: nothing is modified (GG.4.2)."""
    model = OBJECT_MODEL_NAMES["defined-procedure-protocol"]
    protocol = instance("defined-procedure-protocol", model, 0)
    protocol.SOPInstanceUID = "1.2.826.0.1.3680043.9.77.144"
    for flag in ("NO", "YES"):
        constraint = Dataset()
        constraint.ModifiableConstraintFlag = flag
        constraint.ConstraintType, constraint.SelectorAttributeVR = "EQUAL", "FD"
        constraint.SelectorFDValue = 1.25
        element = Dataset()
        element.ParametersSpecificationSequence = [constraint]
        protocol.AcquisitionProtocolElementSpecificationSequence = [
            *protocol.get("AcquisitionProtocolElementSpecificationSequence", []),
            element,
        ]
    protocol.private_block(0x0099, "SOMEBODY", create=True).add_new(1, "LO", "private")
    write(tmp_path / "sent.dcm", protocol)
    with associated(node.port, *model.stored) as association:
        assert association.send_c_store(tmp_path / "sent.dcm").Status == 0
    got = tmp_path / "got"
    words = ("--model", "defined-procedure-protocol", f"SOPInstanceUID={protocol.SOPInstanceUID}")
    gantry("get", *peer(node), *words, "--into", got, "--no-sync").check()
    (file,) = got.rglob("*.dcm")
    assert dcmread(file) == dcmread(tmp_path / "sent.dcm")


def test_what_cannot_be_asked_is_said_before_anybody_is_called(node: NodeProcess) -> None:
    done = gantry("find", *peer(node), "--model", "hanging-protocol", "HangingProtocolCreator=Me")
    assert done.returncode == 2
    assert "no matching key" in done.output
    done = gantry(
        "move", *peer(node), "--model", "inventory", "--to", "DEST", "StudyInstanceUID=1.2"
    )
    assert done.returncode == 2
    assert "StudyInstanceUID is no unique key of the Inventory model" in done.output
