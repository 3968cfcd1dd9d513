"""`gantry media request` against pynetdicom, and against a node of ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid

from tests.cli_of import gantry
from tests.media.instances import CT, instance, save
from tests.node.media_device import media_node, over, stored
from tests.peers.programs import Completed
from tests.peers.pynetdicom_media_creation import MediaCreationScp, progress

pytestmark = pytest.mark.peer


def request(scp: MediaCreationScp, *words: str | Path) -> Completed:
    return gantry("media", "request", f"127.0.0.1:{scp.port}", *words, "--every", "0.1")


def volume(name: str, uid: str) -> Dataset:
    made = Dataset()
    made.StorageMediaFileSetID, made.StorageMediaFileSetUID = name, uid
    return made


def files(folder: Path, count: int = 2) -> list[Path]:
    return [save(instance(number), folder / f"{number}") for number in range(1, count + 1)]


def test_a_request_is_created_initiated_and_watched_to_its_end(tmp_path: Path) -> None:
    done = progress(
        "DONE",
        TotalNumberOfPiecesOfMediaCreated=2,
        ReferencedStorageMediaSequence=[volume("DOE", "1.2.3")],
    )
    images = files(tmp_path)
    (tmp_path / "list").write_text(f"{images[1]}\n\n")
    with MediaCreationScp([progress("PENDING", "QUEUED"), progress("CREATING"), done]) as scp:
        found = request(
            *(
                scp,
                "--files",
                images[0],
                "--file-list",
                tmp_path / "list",
                "--profile",
                "STD-GEN-CD",
            ),
            *("--copies", "2", "--priority", "HIGH", "--id", "DOE", "--label", "Größe"),
            *("--split", "NO", "--lossy", "NO", "--watch"),
        )
        assert found.returncode == 0, found.output
        (uid,) = scp.created
        told = scp.created[uid]
        assert [str(each.ReferencedSOPInstanceUID) for each in told.ReferencedSOPSequence] == [
            str(instance(number).SOPInstanceUID) for number in (1, 2)
        ]
        assert {each.RequestedMediaApplicationProfile for each in told.ReferencedSOPSequence} == {
            "STD-GEN-CD"
        }
        assert (told.StorageMediaFileSetID, told.LabelText) == ("DOE", "Größe")
        assert (told.AllowMediaSplitting, told.AllowLossyCompression) == ("NO", "NO")
        ((acted, action, information),) = scp.acted
        assert (acted, action) == (uid, 1)
        assert (information.NumberOfCopies, information.RequestPriority) == (2, "HIGH")
        assert scp.order == ["N-CREATE", "N-ACTION 1", "N-GET", "N-GET", "N-GET"]
        assert len({association for association, _, _ in scp.asked}) == 3
    for word in ("PENDING (QUEUED", "CREATING", "DONE, 2 media", "DOE  1.2.3", uid):
        assert word in found.output


def test_a_failure_is_told_with_each_instance(tmp_path: Path) -> None:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CT, "1.2.3.4"
    item.FailureReason = 0x0112
    with MediaCreationScp([progress("FAILURE", "NO_INSTANCE", FailedSOPSequence=[item])]) as scp:
        found = request(scp, "--status", "1.2.9")
        assert found.returncode == 1
        assert "FAILURE (NO_INSTANCE: an instance is not here), 1.2.9" in found.output
        assert "1.2.3.4  0112H No such object instance" in found.output
        told = json.loads(request(scp, "--status", "1.2.9", "--json").output)
    assert told["failed"] == {"1.2.3.4": "0112H No such object instance"}
    assert (told["status"], told["info"]) == ("FAILURE", "NO_INSTANCE")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0xC201, "C201H Failed: media creation request already completed"),
        (0xC202, "C202H Failed: request already in progress"),
        (0xC203, "C203H Failed: cancellation denied"),
        (0x0112, "0112H No such SOP instance"),
        (0, "0000H Success"),
    ],
)
def test_what_a_cancellation_is_answered_is_told(status: int, words: str) -> None:
    with MediaCreationScp(act=status) as scp:
        found = request(scp, "--cancel", "1.2.9")
        assert found.returncode == int(bool(status))
        assert words in found.output
        assert scp.acted == [("1.2.9", 2, Dataset())]


@pytest.mark.parametrize(
    ("refusal", "order"),
    [
        ({"create": 0xA510}, ["N-CREATE"]),
        ({"create": 0x0106}, ["N-CREATE"]),
        ({"act": 0x0213}, ["N-CREATE", "N-ACTION 1"]),
    ],
)
def test_a_request_that_is_refused_ends_there(
    tmp_path: Path, refusal: dict[str, int], order: list[str]
) -> None:
    with MediaCreationScp([progress("IDLE")], **refusal) as scp:
        found = request(scp, "--files", *files(tmp_path, 1), "--watch")
        assert found.returncode == 1
        (status,) = refusal.values()
        assert f"{status:04X}H" in found.output
        assert scp.order == order


def test_a_request_for_nothing_is_not_made(tmp_path: Path) -> None:
    with MediaCreationScp() as scp:
        assert request(scp).returncode == 2
        assert request(scp, "--files", tmp_path / "away").returncode == 2
        (tmp_path / "text").write_text("no image")
        assert request(scp, "--files", tmp_path / "text").returncode == 1
        words = ("--files", *files(tmp_path / "in", 1), "--id", "too long by far")
        assert request(scp, *words).returncode == 2
        assert scp.order == []


def test_a_study_of_the_node_is_asked_for_of_the_node_itself(tmp_path: Path) -> None:
    with media_node(tmp_path) as node:
        images = stored(node, tmp_path / "in", 3)
        study = str(images[0].StudyInstanceUID)
        peer, control = f"127.0.0.1:{node.port}", ("--control", node.control)
        found = gantry(
            *("media", "request", peer, "--called", "GANTRY", "--study", study, *control),
            *("--watch", "--every", "0.1", "--json"),
        )
        assert found.returncode == 0, found.output
        told = json.loads(found.output)
        assert (told["status"], told["pieces"]) == ("DONE", 1)
        assert len(over(node, told["uid"]).ReferencedSOPSequence) == 3
        away = gantry(
            *("media", "request", peer, "--called", "GANTRY", "--study", "1.2.3", *control)
        )
        assert away.returncode == 2
        assert "there is no study 1.2.3" in away.output
        gone = gantry(*("media", "request", peer, "--called", "GANTRY", "--status", generate_uid()))
        assert gone.returncode == 1
        assert "0112H" in gone.output
