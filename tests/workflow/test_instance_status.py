"""SOP Instance Status by the Online Electronic Storage Secure Use Profile (PS3.15 A.1.1)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pynetdicom import AE

from agent.archive.decision import Origin
from agent.archive.records import Flag
from agent.configuration.configuration import Configuration
from agent.configuration.load import load
from agent.dataset import tags
from agent.dataset.head import Head
from agent.errors import ConfigurationError
from agent.vocabulary import vocabulary
from agent.workflow.changes import decode_changes, deidentified_by, encode_changes, values_after
from agent.workflow.instance_status import status_changes, with_status
from agent.workflow.routing import Routing
from agent.workflow.simulated_series import make_series
from tests.cli_of import gantry
from tests.node.running import NodeProcess, peer_table
from tests.peers.certificates import Certificates, make_certificates
from tests.peers.dcmtk import DcmtkStoreScp
from tests.peers.process import wait_until

CT = "1.2.840.10008.5.1.4.1.1.2"
HANGING_PROTOCOL = "1.2.840.10008.5.1.4.38.1"
TLS = 'certificate = "/c"\ntrust = ["/a"]\n'


def configured(folder: Path, more: str = "", *, enabled: bool = True) -> Configuration:
    """A plain and a secure entity; peers that follow the profile, and one that does not."""
    file = folder / "gantry.toml"
    service = '[[entity.service]]\nname = "storage"\n'
    file.write_text(
        f"[secure_use]\nenabled = {str(enabled).lower()}\n"
        f'[[entity]]\nname = "PLAIN"\nport = 11112\n{service}'
        f'[[entity]]\nname = "SECURE"\nport = 2762\n{service}[entity.tls]\n{TLS}'
        f'[[peer]]\nname = "LIKE"\nsecure_use = true\naddresses = ["192.0.2.1:2762"]\n'
        f"[peer.tls]\n{TLS}"
        '[[peer]]\nname = "CALLS"\nsecure_use = true\n'
        '[[peer]]\nname = "PLAINLY"\nsecure_use = true\naddresses = ["192.0.2.2:104"]\n'
        f'[[peer]]\nname = "OTHER"\naddresses = ["192.0.2.3:2762"]\n[peer.tls]\n{TLS}{more}'
    )
    return load(files=[file], vocabulary=vocabulary())


def flags_kept(routing: Routing, status: bytes, **origin: str) -> Flag:
    head = Head({tags.SOP_INSTANCE_STATUS: status}, {}, 0, None)
    return Flag(routing.receive(head, Origin(sop_class_uid=CT, **origin)).flags)


def test_the_archive_knows_what_is_an_original(tmp_path: Path) -> None:
    routing = Routing.of(configured(tmp_path))
    trusted = {"entity": "SECURE", "peer": "LIKE", "source": "network"}
    assert flags_kept(routing, b"OR", **trusted) == Flag.ORIGINAL | Flag.UNCONFIRMED
    both = Flag.ORIGINAL | Flag.AUTHORIZED
    assert flags_kept(routing, b"AO ", **trusted) == both | Flag.UNCONFIRMED
    assert flags_kept(routing, b"AO", source="folder") == both
    assert flags_kept(routing, b"OR", source="capture") == Flag.ORIGINAL
    for status, origin in (
        (b"AC", trusted),
        (b"NS", trusted),
        (b"OR", {**trusted, "peer": "OTHER"}),
        (b"OR", {"source": "import"}),
    ):
        assert flags_kept(routing, status, **origin) == Flag(0)
    off = Routing.of(configured(tmp_path, enabled=False))
    assert flags_kept(off, b"OR", **trusted) == Flag(0)


def test_an_original_goes_to_the_one_who_takes_it_when_it_is_delivered(tmp_path: Path) -> None:
    taking = (
        '[[peer]]\nname = "TAKES"\nsecure_use = true\ntakes_originals = true\n'
        f'addresses = ["192.0.2.5:2762"]\n[peer.commitment]\neach = "study"\n[peer.tls]\n{TLS}'
    )
    configuration = configured(tmp_path, taking)
    peer = configuration.peer("TAKES")
    assert status_changes(configuration, peer, hands_over=True) == ()
    # By C-MOVE nobody is asked to commit to it.
    (change,) = status_changes(configuration, peer)
    assert change.map == {"OR": "NS", "AO": "AC"}


def kept(routing: Routing, status: bytes, sop_class: str = CT, **origin: str) -> bool:
    """Whether an object comes in with its status."""
    head = Head({tags.SOP_INSTANCE_STATUS: status} if status else {}, {}, 0, None)
    decision = routing.receive(head, Origin(sop_class_uid=sop_class, **origin))
    assert decision.coercions in ({}, {tags.SOP_INSTANCE_STATUS: b"NS"})
    return not decision.coercions


@pytest.mark.parametrize("status", [b"OR", b"AO", b"AC", b"AC\0", b"AO "])
def test_a_status_from_outside_becomes_not_specified(tmp_path: Path, status: bytes) -> None:
    routing = Routing.of(configured(tmp_path))
    assert tags.SOP_INSTANCE_STATUS in routing.wanted
    for peer, entity, stays in (
        ("LIKE", "SECURE", True),
        ("CALLS", "SECURE", True),
        ("LIKE", "PLAIN", False),
        ("PLAINLY", "SECURE", False),
        ("OTHER", "SECURE", False),
        ("", "SECURE", False),
    ):
        assert kept(routing, status, entity=entity, peer=peer) is stays, (peer, entity)
        assert kept(routing, status, entity=entity, peer=peer, source="fetch") is stays
    assert kept(routing, status, source="import")
    assert kept(routing, status, HANGING_PROTOCOL)


def test_what_has_no_status_or_ns_stays_as_it_is(tmp_path: Path) -> None:
    routing = Routing.of(configured(tmp_path))
    assert kept(routing, b"")
    assert kept(routing, b"NS")


def test_without_the_profile_nothing_changes(tmp_path: Path) -> None:
    configuration = configured(tmp_path, enabled=False)
    assert kept(Routing.of(configuration), b"OR")
    assert status_changes(configuration, configuration.peer("OTHER")) == ()
    assert with_status(b"payload", ()) == b"payload"


@pytest.mark.parametrize(
    ("peer", "after"),
    [
        ("LIKE", {"OR": "NS", "AO": "AC", "AC": "AC", "NS": "NS"}),
        ("PLAINLY", {"OR": "NS", "AO": "NS", "AC": "NS", "NS": "NS"}),
        ("OTHER", {"OR": "NS", "AO": "NS", "AC": "NS", "NS": "NS"}),
        ("", {"OR": "NS", "AO": "NS", "AC": "NS", "NS": "NS"}),
    ],
)
def test_no_original_goes_out(tmp_path: Path, peer: str, after: dict[str, str]) -> None:
    configuration = configured(tmp_path)
    changes = status_changes(configuration, configuration.peer(peer))
    for before, expected in after.items():
        values = values_after(changes, {tags.SOP_INSTANCE_STATUS: before.encode()})
        assert values.get(tags.SOP_INSTANCE_STATUS, before.encode()) == expected.encode()
    assert values_after(changes, {}) == {}


def test_a_route_keeps_its_own_changes(tmp_path: Path) -> None:
    configuration = configured(tmp_path)
    changes = status_changes(configuration, None)
    payload = with_status(encode_changes((), "trial"), changes)
    assert deidentified_by(payload) == "trial"
    assert [each.attribute for each in decode_changes(payload)] == [tags.SOP_INSTANCE_STATUS]


def test_contradictions_are_told(tmp_path: Path) -> None:
    nobody = '[[peer]]\nname = "X"\nsecure_use = true\naddresses = ["192.0.2.9:1"]\n[peer.tls]\n'
    for more, said in (
        (f'{nobody}certificate = ""\n', "not both sides show a certificate"),
        (f'{nobody}{TLS}peer_certificate = "none"\n', "not both sides show a certificate"),
        (
            '[[entity]]\nname = "ON"\nport = 4242\n[[entity.service]]\nname = "storage"\n'
            '[entity.storage]\nonward = "OTHER"\n',
            "passes objects on as they are",
        ),
        (
            '[[peer]]\nname = "X"\nsecure_use = true\ntakes_originals = true\n',
            "does not follow the profile",
        ),
        (
            f"{nobody}{TLS}".replace("secure_use", "takes_originals = true\nsecure_use"),
            "not asked itself to commit",
        ),
        (
            '[[entity]]\nname = "ON"\nport = 4242\n[[entity.service]]\nname = "storage"\n'
            "[entity.storage]\nlevel = 1\n",
            "wants all kept",
        ),
    ):
        with pytest.raises(ConfigurationError, match=said):
            configured(tmp_path, more)


# Over the wire.


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def authorized(folder: Path) -> Path:
    """An object that says of itself that it is an authorized original."""
    (file, *_) = make_series(folder, stills=1)
    made = dcmread(file)
    made.SOPInstanceStatus = "AO"
    made.SOPAuthorizationDateTime = "20260101120000"
    made.save_as(file)
    return Path(file)


def status_of(file: Path) -> str:
    found: Dataset = dcmread(file, stop_before_pixels=True)
    assert found.SOPAuthorizationDateTime == "20260101120000"
    return str(found.SOPInstanceStatus)


@pytest.fixture
def receivers(tmp_path: Path, certificates: Certificates) -> Iterator[list[DcmtkStoreScp]]:
    """One that follows the profile over TLS, and one that does not."""
    options = certificates.dcmtk_options(certificates.server)
    with (
        DcmtkStoreScp(tmp_path / "like", *options) as like,
        DcmtkStoreScp(tmp_path / "plain") as plain,
    ):
        yield [like, plain]


@pytest.mark.peer
def test_cd_49_an_authorized_original_stays_one_here_and_its_copies_are_less(
    tmp_path: Path, certificates: Certificates, receivers: list[DcmtkStoreScp]
) -> None:
    like, plain = receivers
    own = certificates.client
    secure = (
        f'secure_use = true\n[peer.tls]\ncertificate = "{own.certificate}"\n'
        f'private_key = "{own.key}"\ntrust = ["{certificates.authority}"]\n'
    )
    drop = tmp_path / "drop"
    drop.mkdir()
    more = (
        '[[entity.service]]\nname = "get"\n'
        f"{peer_table('LIKE', like.port, secure)}{peer_table('PLAIN', plain.port)}"
        f'[[folder]]\nname = "drop"\npath = "{drop}"\nsettle = "0.2 s"\n'
        "[secure_use]\nenabled = true\n"
    )
    original = authorized(tmp_path / "in")
    with NodeProcess(tmp_path / "node", more) as node:
        original.rename(drop / "original.dcm")
        wait_until(lambda: like.received() and plain.received(), "both have it")
        node.wait_until_delivered("LIKE")
        node.wait_until_delivered("PLAIN")
        (mine,) = node.objects()
        assert status_of(mine) == "AO"
        assert status_of(like.received()[0]) == "AC"
        assert status_of(plain.received()[0]) == "NS"
        study = dcmread(mine, stop_before_pixels=True).StudyInstanceUID
        got = tmp_path / "got"
        at = f"127.0.0.1:{node.port}"
        gantry("get", at, f"StudyInstanceUID={study}", "--into", got, "--called", "GANTRY").check()
        (fetched,) = [each for each in got.rglob("*") if each.is_file()]
        everywhere = (mine, like.received()[0], plain.received()[0], fetched)
        # The SOP Instance UID never changes.
        assert len({dcmread(each).SOPInstanceUID for each in everywhere}) == 1
        assert status_of(fetched) == "NS"


@pytest.mark.peer
def test_cd_49_what_comes_over_a_plain_connection_is_stored_as_not_specified(
    tmp_path: Path,
) -> None:
    more = "[entity.storage]\ncoercion = 1\n[secure_use]\nenabled = true\n"
    file = authorized(tmp_path / "in")
    sent = dcmread(file)
    with NodeProcess(tmp_path / "node", more) as node:
        device = AE("DEVICE")
        device.add_requested_context(sent.SOPClassUID)
        association = device.associate("127.0.0.1", node.port, ae_title="GANTRY")
        answer = association.send_c_store(sent)
        association.release()
        (mine,) = node.objects()
    # PS3.4 B.4.1.3: the sender is told that ours differs.
    assert answer.Status == 0xB000
    assert answer.OffendingElement == tags.SOP_INSTANCE_STATUS
    assert status_of(mine) == "NS"
    assert dcmread(mine).PixelData == sent.PixelData
