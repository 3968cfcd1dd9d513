"""Media that a peer asks for: made by a running node, found and read by programs of others."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.fileset import FileSet
from pydicom.uid import generate_uid

from tests.media.instances import BASIC_TEXT, MR, SC, instance, save
from tests.media.test_writing import judged
from tests.node import media_device
from tests.node.media_device import (
    asked,
    media_node,
    media_of,
    over,
    request_for,
    requester,
    result,
    stored,
    unknown_image,
)
from tests.node.running import NodeProcess
from tests.node.test_steps import until
from tests.peers.dcmtk import dcmsend, dcmtk_program
from tests.peers.programs import run
from tests.peers.sample_files import data_set_bytes

pytestmark = pytest.mark.peer


node, shared_node = media_device.node, media_device.shared_node


def nothing_is_left(node: NodeProcess) -> None:
    media = node.folder.parent / "media"
    assert not media.exists() or not list(media.glob(".*"))


def failures(found: Any) -> dict[str, int]:
    return {
        str(each.ReferencedSOPInstanceUID): int(each.FailureReason)
        for each in found.FailedSOPSequence
    }


def test_a_request_makes_a_file_set_of_what_it_names_and_of_nothing_else(
    node: NodeProcess, tmp_path: Path
) -> None:
    images = stored(node, tmp_path / "in", 3)
    uid = asked(node, request_for(images[:2], "STD-GEN-CD"))
    found = over(node, uid)
    assert (found.ExecutionStatus, found.ExecutionStatusInfo) == ("DONE", "NORMAL")
    assert found.TotalNumberOfPiecesOfMediaCreated == 1
    folder = media_of(node, uid) / "volume-1"
    judged(folder)
    on_it = FileSet(folder / "DICOMDIR")
    assert {str(each.SOPInstanceUID) for each in on_it} == {
        str(each.SOPInstanceUID) for each in images[:2]
    }
    kept = {data_set_bytes(path) for path in node.objects()}
    assert all(data_set_bytes(Path(each.path)) in kept for each in on_it)
    (volume,) = found.ReferencedStorageMediaSequence
    assert volume.StorageMediaFileSetUID == on_it.UID
    assert volume.StorageMediaFileSetID == on_it.ID
    assert len(found.FailedSOPSequence) == 0
    nothing_is_left(node)
    (noted,) = node.ask("corrections")["items"]
    assert (noted["action"], noted["uid"], noted["who"], noted["instances"]) == (
        *("media", uid, "VIEWER"),
        2,
    )


def test_identifiers_and_copies_are_those_that_were_asked_for(
    shared_node: NodeProcess, tmp_path: Path
) -> None:
    node = shared_node
    images = stored(node, tmp_path / "in", 1)
    file_set = generate_uid()
    request = request_for(
        images, StorageMediaFileSetID="DOE_1", StorageMediaFileSetUID=file_set, LabelText="Größe"
    )
    request.SpecificCharacterSet = "ISO_IR 100"
    uid = asked(node, request, NumberOfCopies="3", RequestPriority="HIGH")
    found = over(node, uid)
    assert found.TotalNumberOfPiecesOfMediaCreated == 3
    assert (found.NumberOfCopies, found.RequestPriority) == (3, "HIGH")
    assert found.LabelText == "Größe"
    copies = sorted(media_of(node, uid).iterdir())
    assert [each.name for each in copies] == ["volume-1", "volume-1-copy-2", "volume-1-copy-3"]
    for each in copies:
        on_it = FileSet(each / "DICOMDIR")
        assert ("DOE_1", file_set) == (on_it.ID, on_it.UID)
        judged(each)


def test_an_image_of_a_disc_can_be_made_instead(tmp_path: Path) -> None:
    with media_node(tmp_path, 'kind = "image"\n') as node:
        images = stored(node, tmp_path / "in", 2)
        uid = asked(node, request_for(images), NumberOfCopies="2")
        assert over(node, uid).ExecutionStatus == "DONE"
        made = sorted(media_of(node, uid).iterdir())
        assert [each.name for each in made] == ["volume-1-copy-2.iso", "volume-1.iso"]
        assert made[0].read_bytes() == made[1].read_bytes()
        out = tmp_path / "out"
        run(["xorriso", "-osirrox", "on", "-indev", made[1], "-extract", "/", out]).check()
        run(["chmod", "-R", "u+w", out]).check()
        judged(out)
        assert len(list(FileSet(out / "DICOMDIR"))) == 2


def test_what_does_not_fit_goes_over_several_volumes_unless_that_is_forbidden(
    tmp_path: Path,
) -> None:
    with media_node(tmp_path, 'volume_size = "900 KiB"\n') as node:
        images = stored(node, tmp_path / "in", 3, size=200)
        whole = asked(node, request_for(images, StorageMediaFileSetID="DOE"))
        split = over(node, whole)
        assert split.ExecutionStatus == "DONE"
        volumes = split.ReferencedStorageMediaSequence
        assert [each.StorageMediaFileSetID for each in volumes] == ["DOE_1", "DOE_2"]
        assert len({each.StorageMediaFileSetUID for each in volumes}) == 2
        there = [
            str(each.SOPInstanceUID)
            for number in (1, 2)
            for each in FileSet(media_of(node, whole) / f"volume-{number}" / "DICOMDIR")
        ]
        assert sorted(there) == sorted(str(each.SOPInstanceUID) for each in images)
        one = asked(node, request_for(images, AllowMediaSplitting="NO"))
        refused = over(node, one)
        assert (refused.ExecutionStatus, refused.ExecutionStatusInfo) == (
            "FAILURE",
            "SET_OVERSIZED",
        )
        assert refused.TotalNumberOfPiecesOfMediaCreated == 0
        assert not media_of(node, one).exists()
        nothing_is_left(node)


def test_an_instance_larger_than_a_medium_is_named(tmp_path: Path) -> None:
    with media_node(tmp_path, 'volume_size = "700 KiB"\n') as node:
        images = stored(node, tmp_path / "in", 1, size=400)
        found = over(node, asked(node, request_for(images)))
        assert found.ExecutionStatusInfo == "INST_OVERSIZED"
        assert failures(found) == {str(images[0].SOPInstanceUID): 0x0205}


def test_each_instance_that_cannot_be_on_the_media_is_named_with_the_reason(
    shared_node: NodeProcess, tmp_path: Path
) -> None:
    node = shared_node
    (image,) = stored(node, tmp_path / "in", 1)
    away = unknown_image()
    other = Dataset()
    other.SOPClassUID, other.SOPInstanceUID = MR, image.SOPInstanceUID
    for request, info, reasons in (
        (request_for([image, away]), "NO_INSTANCE", [(away, 0x0112)]),
        (request_for([other]), "INST_AP_CONFLICT", [(image, 0x0119)]),
        (request_for([image, image]), "DUPL_REF_INST", []),
        (request_for([image], "STD-NONE"), "NOT_SUPPORTED", [(image, 0x0204)]),
        (request_for([image], "STD-XABC-CD"), "INST_AP_CONFLICT", [(image, 0x0202)]),
        (request_for([image], "STD-DEN-CD"), "INST_AP_CONFLICT", [(image, 0x0202)]),
        (
            request_for([image], "STD-GEN-BD-MPEG2-MPML", AllowLossyCompression="NO"),
            "INST_AP_CONFLICT",
            [(image, 0x0203)],
        ),
    ):
        found = over(node, asked(node, request))
        assert (found.ExecutionStatus, found.ExecutionStatusInfo) == ("FAILURE", info)
        assert failures(found) == {str(each.SOPInstanceUID): reason for each, reason in reasons}


def test_profiles_of_one_kind_of_medium_go_together_and_others_do_not(
    shared_node: NodeProcess, tmp_path: Path
) -> None:
    node = shared_node
    images = stored(node, tmp_path / "in", 2)
    together = asked(node, request_for(images, ["STD-GEN-CD", "STD-CTMR-CD"]))
    assert over(node, together).ExecutionStatus == "DONE"
    judged(media_of(node, together) / "volume-1")
    apart = over(node, asked(node, request_for(images, ["STD-GEN-CD", "STD-GEN-DVD-JPEG"])))
    assert apart.ExecutionStatusInfo == "INST_AP_CONFLICT"
    assert failures(apart) == {str(images[1].SOPInstanceUID): 0x0201}


def test_what_is_compressed_is_taken_as_it_is_or_decompressed_and_never_compressed_with_loss(
    shared_node: NodeProcess, tmp_path: Path
) -> None:
    node = shared_node
    image = instance(1001, SC, Rows=16, Columns=16)
    image.BitsAllocated = image.BitsStored = 8
    image.HighBit = 7
    image.PixelData = bytes(range(256))
    save(image, tmp_path / "raw")
    run([dcmtk_program("dcmcjpeg"), "+eb", tmp_path / "raw", tmp_path / "lossy"]).check()
    lossy = dcmread(tmp_path / "lossy")
    dcmsend(node.port, tmp_path / "lossy").check()
    kept = {str(dcmread(path).SOPInstanceUID): data_set_bytes(path) for path in node.objects()}
    for profile, same in (("STD-GEN-DVD-JPEG", True), ("STD-GEN-CD", False)):
        uid = asked(node, request_for([lossy], profile, AllowLossyCompression="YES"))
        assert over(node, uid).ExecutionStatus == "DONE"
        folder = media_of(node, uid) / "volume-1"
        (entry,) = FileSet(folder / "DICOMDIR")
        on_it = dcmread(entry.path)
        assert on_it.file_meta.TransferSyntaxUID == (
            lossy.file_meta.TransferSyntaxUID if same else "1.2.840.10008.1.2.1"
        )
        assert (data_set_bytes(Path(entry.path)) == kept[str(lossy.SOPInstanceUID)]) is same
        assert on_it.LossyImageCompression == "01"


def test_a_request_that_is_cancelled_is_gone_and_leaves_nothing(
    node: NodeProcess, tmp_path: Path
) -> None:
    images = stored(node, tmp_path / "in", 1)
    idle = generate_uid()
    with requester(node) as scu:
        assert scu.cancel(idle) == 0x0112
        assert scu.create(request_for(images), idle).Status == 0
        assert scu.cancel(idle) == 0
        assert scu.get(idle)[0].Status == 0x0112
        assert scu.cancel(idle) == 0x0112
        assert scu.initiate(idle) == 0x0112
    (tmp_path / "media").write_text("in the way")
    waiting = asked(node, request_for(images))
    until(lambda: result(node, waiting).ExecutionStatusInfo == "CHECK_MCD_OP", lambda: node.log)
    assert result(node, waiting).ExecutionStatus == "PENDING"
    with requester(node) as scu:
        assert scu.cancel(waiting) == 0
        assert scu.get(waiting)[0].Status == 0x0112
    (tmp_path / "media").unlink()
    done = asked(node, request_for(images))
    assert over(node, done).ExecutionStatus == "DONE"
    with requester(node) as scu:
        assert scu.cancel(done) == 0xC201
        assert scu.get(done)[0].Status == 0
    failed = asked(node, request_for([unknown_image()]))
    assert over(node, failed).ExecutionStatus == "FAILURE"
    with requester(node) as scu:
        assert scu.cancel(failed) == 0xC201
    assert not media_of(node, waiting).exists()
    nothing_is_left(node)


def test_what_is_being_made_can_be_cancelled(node: NodeProcess, tmp_path: Path) -> None:
    images = stored(node, tmp_path / "in", 30, size=2000)
    uid = asked(node, request_for(images), NumberOfCopies="10")
    until(lambda: list((tmp_path / "media").glob(".*/volume-1")), lambda: node.log)
    assert result(node, uid).ExecutionStatus == "CREATING"
    with requester(node) as scu:
        assert scu.cancel(uid) == 0
    until(lambda: not list((tmp_path / "media").iterdir()), lambda: node.log)
    assert result(node, uid) is None
    again = asked(node, request_for(images[:1]))
    assert over(node, again).ExecutionStatus == "DONE"


@pytest.mark.parametrize("moment", ["at once", "while it is made", "a little later"])
def test_a_killed_node_goes_on_with_what_was_initiated(tmp_path: Path, moment: str) -> None:
    node = media_node(tmp_path)
    node.start()
    images = stored(node, tmp_path / "in", 20, size=1000)
    idle = generate_uid()
    with requester(node) as scu:
        assert scu.create(request_for(images[:1]), idle).Status == 0
    uid = asked(node, request_for(images), NumberOfCopies="5")
    if moment == "while it is made":
        until(lambda: list((tmp_path / "media").glob(".*/volume-1/DICOM")), lambda: node.log)
    elif moment == "a little later":
        time.sleep(0.7)
    node.kill()
    with node:
        assert result(node, idle).ExecutionStatus == "IDLE"
        found = over(node, uid)
        assert (found.ExecutionStatus, found.TotalNumberOfPiecesOfMediaCreated) == ("DONE", 5)
        assert sorted(each.name for each in (tmp_path / "media").iterdir()) == [uid]
        copies = list(media_of(node, uid).iterdir())
        assert len(copies) == 5
        (volume,) = found.ReferencedStorageMediaSequence
        for each in copies:
            on_it = FileSet(each / "DICOMDIR")
            assert volume.StorageMediaFileSetUID == on_it.UID
            assert len(list(on_it)) == 20
        judged(copies[0])


def test_a_folder_that_is_away_is_waited_for_and_then_the_request_fails(tmp_path: Path) -> None:
    with media_node(tmp_path, 'patience = "1 s"\n') as node:
        images = stored(node, tmp_path / "in", 1)
        (tmp_path / "media").write_text("in the way")
        patient = asked(node, request_for(images))
        until(lambda: result(node, patient).ExecutionStatusInfo == "CHECK_MCD_OP", lambda: node.log)
        (tmp_path / "media").unlink()
        assert over(node, patient).ExecutionStatus == "DONE"
        (tmp_path / "media").rename(tmp_path / "gone")
        (tmp_path / "media").write_text("in the way")
        found = over(node, asked(node, request_for(images)))
        assert (found.ExecutionStatus, found.ExecutionStatusInfo) == ("FAILURE", "CHECK_MCD_OP")


def test_those_of_high_priority_go_first_and_too_many_are_refused(tmp_path: Path) -> None:
    with media_node(tmp_path, "waiting = 4\n") as node:
        images = stored(node, tmp_path / "in", 30, size=1000)
        first = asked(node, request_for(images), NumberOfCopies="8")
        low = asked(node, request_for(images[:1]), RequestPriority="LOW")
        usual = asked(node, request_for(images[:2]))
        high = asked(node, request_for(images[:3]), RequestPriority="HIGH")
        more = generate_uid()
        with requester(node) as scu:
            assert result(node, first).ExecutionStatus in ("PENDING", "CREATING")
            assert scu.create(request_for(images[:1]), more).Status == 0
            assert scu.initiate(more) == 0x0213
            assert scu.get(more)[1].ExecutionStatus == "IDLE"
        assert result(node, low).ExecutionStatusInfo == "QUEUED"
        for each in (first, low, usual, high):
            assert over(node, each, 60.0).ExecutionStatus == "DONE"
        made = {each: media_of(node, each).stat().st_ctime_ns for each in (low, usual, high)}
        assert sorted(made, key=lambda each: made[each]) == [high, usual, low]


def test_media_of_other_classes_than_images_go_on_a_general_purpose_medium(
    shared_node: NodeProcess, tmp_path: Path
) -> None:
    node = shared_node
    report = instance(1002, BASIC_TEXT)
    dcmsend(node.port, save(report, tmp_path / "in" / "1")).check()
    found = over(node, asked(node, request_for([report])))
    assert found.ExecutionStatus == "DONE", found


def test_results_are_forgotten_when_their_time_is_over_and_the_media_stay(
    shared_node: NodeProcess, tmp_path: Path
) -> None:
    node = shared_node
    images = stored(node, tmp_path / "in", 1)
    done, idle, new = asked(node, request_for(images)), generate_uid(), generate_uid()
    over(node, done)
    with requester(node) as scu:
        for uid in (idle, new):
            assert scu.create(request_for(images), uid).Status == 0
    for uid, days in ((done, 8), (idle, 2)):
        (kept,) = (node.folder / "state").rglob(f"{uid}.json")
        state = json.loads(kept.read_text())
        kept.write_text(json.dumps({**state, "changed": state["changed"] - days * 86400}))
    node.ask("tidy")
    assert result(node, done) is None
    assert result(node, idle) is None
    assert result(node, new).ExecutionStatus == "IDLE"
    assert (media_of(node, done) / "volume-1" / "DICOMDIR").exists()


def test_kills_at_moments_of_chance_lose_no_request_and_leave_no_half(tmp_path: Path) -> None:
    node = media_node(tmp_path)
    node.start()
    try:
        images = stored(node, tmp_path / "in", 5, size=400)
        uids = {
            asked(node, request_for(images[:count]), NumberOfCopies="10"): count
            for count in range(1, 6)
        }
        chance, halves = random.Random(7), 0
        for _ in range(6):
            time.sleep(chance.uniform(0.0, 0.3))
            node.kill()
            halves += len(list((tmp_path / "media").glob(".*")))
            node.start()
        assert halves, "no kill has hit anything"
        for uid, count in uids.items():
            assert over(node, uid).TotalNumberOfPiecesOfMediaCreated == 10
            copies = list(media_of(node, uid).iterdir())
            assert [len(list(FileSet(each / "DICOMDIR"))) for each in copies] == [count] * 10
        assert {each.name for each in (tmp_path / "media").iterdir()} == set(uids)
    finally:
        node.kill()
