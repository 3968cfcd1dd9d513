"""Originals by PS3.15 A.1.1: made, kept, handed over to another node, and sent on after that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from agent.workflow.simulated_series import make_series
from tests.cli_of import gantry
from tests.node.running import NodeProcess
from tests.peers.certificates import Certificates, Credentials, make_certificates
from tests.peers.dcmtk import DcmtkStoreScp
from tests.peers.process import wait_until

pytestmark = pytest.mark.peer
GATHERS = 4.0
"""Seconds between delivery and request: so long the original is at both ends, and goes nowhere."""


@dataclass
class Two:
    """The box where originals are made, the hospital that takes them, and who gets copies of it."""

    box: NodeProcess
    hospital: NodeProcess
    other: DcmtkStoreScp
    drop: Path
    certificates: Certificates


def _tls(certificates: Certificates, own: Credentials, table: str) -> str:
    return (
        f'[{table}.tls]\ncertificate = "{own.certificate}"\nprivate_key = "{own.key}"\n'
        f'trust = ["{certificates.authority}"]\n'
    )


def _configure(node: NodeProcess, title: str, more: str) -> None:
    node.write(more)
    text = node.configuration.read_text()
    mine = 'name = "GANTRY"\n'
    node.configuration.write_text(text.replace(mine, f'{mine}title = "{title}"\n', 1))


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    folder = tmp_path_factory.mktemp("originals")
    certificates = make_certificates(tmp_path_factory.mktemp("certificates"))
    drop = folder / "drop"
    drop.mkdir()
    box, hospital = NodeProcess(folder / "box"), NodeProcess(folder / "hospital")
    common = (
        _tls(certificates, certificates.server, "entity")
        + '[[entity.service]]\nname = "commitment"\nroles = ["scu", "scp"]\n'
        '[[entity.service]]\nname = "get"\n'
    )
    retry = '[peer.retry]\nfirst = "0.2 s"\nlongest = "0.5 s"\n'
    like = (
        'services = ["storage", "commitment"]\nsecure_use = true\n'
        f"{retry}{_tls(certificates, certificates.client, 'peer')}"
    )
    with DcmtkStoreScp(folder / "other") as other:
        _configure(
            box,
            "BOX",
            f'{common}[[capture]]\nname = "us"\nkind = "simulator"\nmodality = "US"\n'
            "[capture.settings]\nwidth = 96\nheight = 64\n"
            f'[[folder]]\nname = "drop"\npath = "{drop}"\nsettle = "0.2 s"\n'
            f'[[peer]]\nname = "HOSPITAL"\naddresses = ["127.0.0.1:{hospital.port}"]\n'
            f"takes_originals = true\n{like}"
            f'[peer.commitment]\neach = "study"\ngather = {GATHERS:g}\n'
            '[[route]]\nname = "on"\ndeliver = ["HOSPITAL"]\n'
            '[secure_use]\nenabled = true\noriginals = true\ncertification = "ACME-1"\n',
        )
        _configure(
            hospital,
            "HOSPITAL",
            f'{common}[[peer]]\nname = "BOX"\naddresses = ["127.0.0.1:{box.port}"]\n{like}'
            f'[[peer]]\nname = "OTHER"\naddresses = ["127.0.0.1:{other.port}"]\n{retry}'
            '[[route]]\nname = "on"\ndeliver = ["OTHER"]\n[secure_use]\nenabled = true\n',
        )
        with hospital, box:
            yield Two(box, hospital, other, drop, certificates)


def read(path: Path) -> Dataset:
    return dcmread(path, stop_before_pixels=True)


def statuses(paths: list[Path]) -> dict[str, str]:
    """SOP Instance Status by SOP Instance UID."""
    return {str(each.SOPInstanceUID): str(each.SOPInstanceStatus) for each in map(read, paths)}


def got(two: Two, into: Path, study: str) -> list[Path]:
    """What the hospital gives to who asks it for the study."""
    own = two.certificates.client
    words = ["--tls", "--ca", two.certificates.authority]
    words += ["--certificate", own.certificate, "--key", own.key, "--called", "HOSPITAL"]
    at = f"127.0.0.1:{two.hospital.port}"
    gantry("get", at, f"StudyInstanceUID={study}", "--into", into, *words)
    return [each for each in into.rglob("*") if each.is_file()]


def test_an_original_is_made_handed_over_and_a_copy_afterwards(two: Two, tmp_path: Path) -> None:
    (made,) = two.box.ask("capture", stills=1, patient_id="P1", patient_name="Test^One")
    (file,) = two.box.objects()
    original = read(file)
    # Rule a.
    assert original.SOPInstanceStatus == "OR"
    assert original.SOPAuthorizationDateTime
    assert original.AuthorizationEquipmentCertificationNumber == "ACME-1"
    assert original.InstanceCreationDate and original.InstanceCreationTime
    study, uid = str(original.StudyInstanceUID), made["sop_instance_uid"]
    # Rule c: nobody deletes it, by force neither.
    assert two.box.ask("delete", level="study", uid=study, force=False) == [0, 1]
    wait_until(two.hospital.objects, "the hospital has it")
    assert statuses(two.hospital.objects()) == {uid: "OR"}
    # Rule d 4: the hospital tells it to nobody before the box knows.
    (held,) = two.hospital.ask("queue")["items"]
    assert held["reason"].startswith("waits until its sender knows")
    assert got(two, tmp_path / "early", study) == []
    assert two.box.ask("delete", level="study", uid=study, force=True) == [0, 1]
    wait_until(lambda: "commitment answered" in two.box.log, "it is committed to")
    # Rule d 5: what was an original is a copy here.
    wait_until(lambda: statuses(two.box.objects()) == {uid: "NS"}, "it is a copy")
    wait_until(two.other.received, "and it goes on")
    assert statuses(two.other.received()) == {uid: "NS"}
    assert statuses(two.hospital.objects()) == {uid: "OR"}
    assert statuses(got(two, tmp_path / "late", study)) == {uid: "NS"}
    assert two.hospital.ask("delete", level="study", uid=study, force=True) == [0, 1]
    # A copy may go; that it was delivered and committed to is known as before.
    (kept,) = two.box.objects()
    assert read(kept).PatientID == "P1"
    assert two.box.ask("delete", level="study", uid=study) == [1, 0]


def test_an_authorized_original_becomes_an_authorized_copy(two: Two, tmp_path: Path) -> None:
    (file, *_) = make_series(tmp_path / "in", stills=1)
    authorized = dcmread(file)
    authorized.SOPInstanceStatus = "AO"
    authorized.SOPAuthorizationDateTime = "20260101120000"
    authorized.save_as(tmp_path / "authorized.dcm")
    uid = str(authorized.SOPInstanceUID)
    (tmp_path / "authorized.dcm").rename(two.drop / "authorized.dcm")
    wait_until(lambda: statuses(two.box.objects()).get(uid) == "AC", "it is a copy", seconds=40)
    assert statuses(two.hospital.objects())[uid] == "AO"
    wait_until(lambda: uid in statuses(two.other.received()), "it goes on")
    assert statuses(two.other.received())[uid] == "NS"
    mine = next(each for each in two.box.objects() if read(each).SOPInstanceUID == uid)
    # Nothing else of it has changed (rule h), and what was changed is said.
    copy = dcmread(mine)
    changed = copy.OriginalAttributesSequence[-1].ModifiedAttributesSequence[0]
    assert [each.keyword for each in changed] == ["SOPInstanceStatus"]
    assert changed.SOPInstanceStatus == "AO"
    for name in ("SOPInstanceStatus", "OriginalAttributesSequence"):
        delattr(copy, name)
    del authorized.SOPInstanceStatus
    assert copy == authorized


@pytest.mark.long
def test_what_was_left_undone_by_a_crash_is_done_at_the_next_start(two: Two) -> None:
    """The mark is in the index with the answer; the file follows. Nobody else is there then."""
    import sqlite3

    two.hospital.kill()
    two.box.ask("capture", stills=1, patient_id="P2")
    (file,) = [each for each in two.box.objects() if read(each).PatientID == "P2"]
    uid = str(read(file).SOPInstanceUID)
    two.box.kill()
    (index,) = (two.box.folder / "state").rglob("index.sqlite")
    with sqlite3.connect(index) as connection:
        connection.execute(
            "UPDATE instance SET flags = flags | 256 WHERE sop_instance_uid = ?", (uid,)
        )
    connection.close()
    two.box.start()
    wait_until(lambda: statuses(two.box.objects()).get(uid) == "NS", "it is a copy")
