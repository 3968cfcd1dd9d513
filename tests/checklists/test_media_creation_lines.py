"""Lines of the checklists on Media Creation Management (PS3.4 S; CD 38, 44, 45)."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.fileset import FileSet
from pydicom.uid import ImplicitVRLittleEndian, generate_uid

from agent.configuration.load import load
from agent.conformance import statement
from agent.dataset.sop_classes import MEDIA_CREATION_MANAGEMENT
from agent.media.application_profiles import PROFILES
from agent.services.media_creation_table import CREATE
from agent.services.offer import offer_of
from agent.vocabulary import vocabulary
from tests.checklists.test_profiles import ProfileNode
from tests.cli_of import gantry
from tests.media.instances import SC, instance, save
from tests.media.test_writing import judged, uids_by_pydicom, uids_read_by_us
from tests.node import media_device
from tests.node.media_device import (
    Requester,
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
from tests.peers.dcmtk import dcmdump, dcmsend, dcmtk_program
from tests.peers.programs import run
from tests.peers.pynetdicom_media_creation import MediaCreationScp, progress

pytestmark = pytest.mark.peer


node = media_device.shared_node


def test_ps34_133_instances_are_stored_first_then_asked_for_then_looked_after(
    tmp_path: Path,
) -> None:
    with media_node(tmp_path) as node:
        files = [save(instance(number), tmp_path / "in" / f"{number}") for number in (1, 2)]
        peer = f"127.0.0.1:{node.port}"
        assert gantry("send", peer, "--called", "GANTRY", *files).returncode == 0
        done = gantry(
            *("media", "request", peer, "--called", "GANTRY", "--files", *files),
            *("--profile", "STD-GEN-CD", "--watch", "--every", "0.2"),
        )
        assert done.returncode == 0, done.output
        assert "DONE, 1 media" in done.output
        (folder,) = (tmp_path / "media").iterdir()
        assert len(uids_by_pydicom(folder / "volume-1")) == 2
    with MediaCreationScp([progress("CREATING"), progress("DONE")]) as scp:
        done = gantry(
            *("media", "request", f"127.0.0.1:{scp.port}", "--files", *files),
            *("--watch", "--every", "0.1"),
        )
        assert done.returncode == 0, done.output
        assert scp.order == ["N-CREATE", "N-ACTION 1", "N-GET", "N-GET"]
        assert len({association for association, _, _ in scp.asked}) == 2


def test_ps34_134_n_create_is_answered_by_success_or_failure_and_by_nothing_else(
    node: NodeProcess, tmp_path: Path
) -> None:
    (image,) = stored(node, tmp_path / "in", 1)
    known = generate_uid()
    bad_item = request_for([image])
    del bad_item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    more = request_for([image], BarcodeValue="4711", BarcodeSymbology="CODE128", StudyTime="12")
    with requester(node) as scu:
        assert scu.create(request_for([image]), known).Status == 0
        for request, uid, status in (
            (request_for([unknown_image()], "STD-NONE"), generate_uid(), 0),
            # What the IOD has no room for is no reason to refuse.
            (more, generate_uid(), 0),
            (request_for([image]), known, 0x0111),
            (request_for([]), generate_uid(), 0x0121),
            (Dataset(), generate_uid(), 0x0120),
            (bad_item, generate_uid(), 0x0120),
            (request_for([image], AllowMediaSplitting="PERHAPS"), generate_uid(), 0x0106),
        ):
            if len(request) == 0:
                request.LabelText = "nothing but a label"
            assert scu.create(request, uid).Status == status
        assert scu.initiate(known) == 0
        assert scu.create(request_for([image]), known).Status == 0xA510


def test_ps34_134_a_second_initiate_is_refused_whatever_became_of_the_first(
    node: NodeProcess, tmp_path: Path
) -> None:
    (image,) = stored(node, tmp_path / "in", 1)
    done = asked(node, request_for([image]))
    failed = asked(node, request_for([unknown_image()]))
    with requester(node) as scu:
        assert scu.initiate(done) == 0xA510
    assert over(node, done).ExecutionStatus == "DONE"
    assert over(node, failed).ExecutionStatus == "FAILURE"
    with requester(node) as scu:
        assert scu.initiate(done, NumberOfCopies="2") == 0xA510
        assert scu.initiate(failed) == 0xA510
    assert result(node, done).TotalNumberOfPiecesOfMediaCreated == 1


def test_ps34_134_a_cancellation_that_comes_too_late_fails_and_after_one_that_does_not_n_get_fails(
    node: NodeProcess, tmp_path: Path
) -> None:
    (image,) = stored(node, tmp_path / "in", 1)
    done = asked(node, request_for([image]))
    over(node, done)
    idle = generate_uid()
    with requester(node) as scu:
        assert scu.cancel(done) == 0xC201
        assert scu.get(done)[1].ExecutionStatus == "DONE"
        assert scu.create(request_for([image]), idle).Status == 0
        assert scu.cancel(idle) == 0
        assert scu.get(idle)[0].Status == 0x0112
        assert scu.act(idle, 3).Status == 0x0123


def test_ps34_134_while_the_media_get_their_name_the_request_cannot_be_interrupted(
    tmp_path: Path,
) -> None:
    node = media_node(tmp_path)
    with node:
        (image,) = stored(node, tmp_path / "in", 1)
        uid = asked(node, request_for([image]))
        over(node, uid)
    # As it stands on the disk just before: whole, and without its name.
    (kept,) = (node.folder / "state").rglob(f"{uid}.json")
    (tmp_path / "media" / uid).rename(tmp_path / "media" / f".{uid}.unfinished")
    kept.write_text(kept.read_text().replace('"DONE"', '"CREATING"'))
    (tmp_path / "media").rename(tmp_path / "away")
    (tmp_path / "media").write_text("in the way")
    with node:
        with requester(node) as scu:
            assert scu.cancel(uid) == 0xC202
            assert scu.get(uid)[1].ExecutionStatus == "CREATING"
        (tmp_path / "media").unlink()
        (tmp_path / "away").rename(tmp_path / "media")
        assert over(node, uid).ExecutionStatus == "DONE"
        judged(tmp_path / "media" / uid / "volume-1")


def test_ps34_134_n_get_gives_what_is_asked_for_and_names_what_is_not_there(
    node: NodeProcess, tmp_path: Path
) -> None:
    (image,) = stored(node, tmp_path / "in", 1)
    uid = asked(node, request_for([image], LabelText="Doe"))
    over(node, uid)
    with requester(node, ImplicitVRLittleEndian) as scu:
        status, found = scu.get(uid, ("ExecutionStatus", "FailedSOPSequence"))
        assert status.Status == 0
        assert {each.keyword for each in found} >= {"ExecutionStatus", "FailedSOPSequence"}
        assert "ReferencedSOPSequence" not in found
        status, found = scu.get(uid, ("ExecutionStatus", "MediaDisposition"))
        assert status.Status == 0x0001
        assert found.ExecutionStatus == "DONE"
        status, found = scu.get(uid)
        assert (status.Status, found.LabelText) == (0, "Doe")


def test_ps34_135_what_must_not_be_split_and_does_not_fit_is_not_made(tmp_path: Path) -> None:
    with media_node(tmp_path, 'volume_size = "900 KiB"\n') as node:
        images = stored(node, tmp_path / "in", 3, size=200)
        found = over(node, asked(node, request_for(images, AllowMediaSplitting="NO")))
        assert (found.ExecutionStatus, found.ExecutionStatusInfo) == ("FAILURE", "SET_OVERSIZED")
        assert not list((tmp_path / "media").iterdir())
        found = over(node, asked(node, request_for(images, AllowMediaSplitting="YES")))
        assert found.TotalNumberOfPiecesOfMediaCreated == 2


def test_ps34_135_a_lossy_profile_is_an_error_where_loss_is_forbidden(
    node: NodeProcess, tmp_path: Path
) -> None:
    (image,) = stored(node, tmp_path / "in", 1)
    request = request_for([image], "STD-DVD-MPEG2-MPML", AllowLossyCompression="NO")
    found = over(node, asked(node, request))
    assert (found.ExecutionStatus, found.ExecutionStatusInfo) == ("FAILURE", "INST_AP_CONFLICT")
    assert [each.FailureReason for each in found.FailedSOPSequence] == [0x0203]


def test_ps34_135_what_is_lossy_is_never_compressed_again(
    node: NodeProcess, tmp_path: Path
) -> None:
    image = instance(1, SC, Rows=16, Columns=16, BitsAllocated=8, BitsStored=8, HighBit=7)
    image.PixelData = bytes(range(256))
    save(image, tmp_path / "raw")
    run([dcmtk_program("dcmcjpeg"), "+eb", tmp_path / "raw", tmp_path / "lossy"]).check()
    dcmsend(node.port, tmp_path / "lossy").check()
    lossy = dcmread(tmp_path / "lossy")
    for profile in ("STD-GEN-DVD-JPEG", "STD-GEN-DVD-J2K", "STD-GEN-CD"):
        uid = asked(node, request_for([lossy], profile, AllowLossyCompression="YES"))
        assert over(node, uid).ExecutionStatus == "DONE"
        (entry,) = FileSet(media_of(node, uid) / "volume-1" / "DICOMDIR")
        on_it = dcmread(entry.path)
        syntax = on_it.file_meta.TransferSyntaxUID
        assert not syntax.is_compressed or on_it.PixelData == lossy.PixelData
        assert syntax.is_compressed is (profile == "STD-GEN-DVD-JPEG")


def test_cd_38_every_attribute_is_taken_media_are_made_and_a_missing_instance_is_told(
    tmp_path: Path,
) -> None:
    with ProfileNode(tmp_path, "cdac-sdk", ("CDAC",)) as node:
        port = node.ports["CDAC"]
        images = [instance(number) for number in (1, 2)]
        files = [save(each, tmp_path / "in" / f"{each.InstanceNumber}") for each in images]
        dcmsend(port, *files, called="CDAC").check()
        node.port = port
        request = request_for(images, "STD-GEN-CD")
        request.SpecificCharacterSet = "ISO_IR 100"
        request.StorageMediaFileSetID, request.StorageMediaFileSetUID = "CD38", generate_uid()
        request.LabelText, request.LabelStyleSelection = "Müller", "PLAIN"
        request.MediaDisposition, request.BarcodeValue = "Dr. Weiß", "4711"
        request.BarcodeSymbology = "CODE128"
        for keyword in (
            "LabelUsingInformationExtractedFromInstances",
            "AllowMediaSplitting",
            "AllowLossyCompression",
            "IncludeNonDICOMObjects",
            "IncludeDisplayApplication",
            "PreserveCompositeInstancesAfterMediaCreation",
        ):
            setattr(request, keyword, "NO")
        icon = Dataset()
        icon.Rows = icon.Columns = 1
        icon.SamplesPerPixel, icon.PhotometricInterpretation = 1, "MONOCHROME2"
        icon.BitsAllocated = icon.BitsStored = 8
        icon.HighBit, icon.PixelRepresentation, icon.PixelData = 7, 0, b"\0\0"
        for item in request.ReferencedSOPSequence:
            item.IconImageSequence = [icon]
        sent = {each.keyword for each in request} | {
            each.keyword for each in request.ReferencedSOPSequence[0]
        }
        assert sent == {each.keyword for each in CREATE}
        uid = generate_uid()
        scu = Requester(port, "CDAC")
        assert scu.create(request, uid).Status == 0
        assert scu.initiate(uid, NumberOfCopies="1") == 0
        until(lambda: scu.get(uid)[1].ExecutionStatus == "DONE", lambda: node.log)
        found = scu.get(uid)[1]
        for element in request:
            assert found[element.tag].value == element.value
        away = generate_uid()
        missing = unknown_image()
        assert scu.create(request_for([images[0], missing]), away).Status == 0
        assert scu.initiate(away) == 0
        until(lambda: scu.get(away)[1].ExecutionStatus == "FAILURE", lambda: node.log)
        (failed,) = scu.get(away)[1].FailedSOPSequence
        assert failed.ReferencedSOPInstanceUID == missing.SOPInstanceUID
        assert failed.FailureReason == 0x0112
        scu.association.release()
        (folder,) = (tmp_path / "state" / "media").glob(f"{uid}/volume-1")
        judged(folder)
        directory = FileSet(folder / "DICOMDIR")
        assert (request.StorageMediaFileSetUID, "CD38") == (directory.UID, directory.ID)


def test_cd_38_the_statement_tells_of_it_and_the_profile_offers_it() -> None:
    configuration = load(profile="cdac-sdk", files=(), vocabulary=vocabulary())
    (entity,) = configuration.entities
    assert MEDIA_CREATION_MANAGEMENT in offer_of(entity, configuration).syntaxes
    text = statement(configuration)
    for words in (
        "Media Creation Management as SCP (PS3.4 S.4.2)",
        "Media Creation Management as SCU (PS3.4 S.4.1)",
        "| Default application profile | that of the other instances, else STD-GEN-CD |",
        "| Results kept | 168 h |",
        *(f"{row.keyword} | {row.use} |" for row in CREATE),
    ):
        assert words in text


def test_cd_44_the_statement_tells_of_profiles_security_and_pages() -> None:
    text = statement(load(profile="gateway", files=(), vocabulary=vocabulary()))
    for words in (
        "| STD-XA1K-DVD | PS3.11 B | 120 mm DVD | FSC, FSR | 128 x 128, always | none |",
        "| STD-GEN-CD | PS3.11 D | 120 mm CD-R | FSC, FSR, FSU | 64 x 64, on request "
        "| STD-GEN-SEC-CD |",
        "| Basic DICOM Media Security Profile (PS3.15 D.1) | supported",
        "with aes-128, aes-192, aes-256; content signed or digested",
        "| IHE Portable Data for Imaging (RAD-47) | Portable Media Creator",
    ):
        assert words in text
    plain = [name for name, row in PROFILES.items() if not row.secure]
    assert all(f"| {name} | " in text for name in plain)
    assert all(f"| {name} |" in text for name in PROFILES if name not in plain)


@pytest.mark.parametrize("profile", ["STD-GEN-CD", "STD-GEN-USB-JPEG", "STD-CTMR-DVD"])
def test_cd_44_and_45_what_is_made_on_request_is_read_by_others_and_by_us(
    node: NodeProcess, tmp_path: Path, profile: str
) -> None:
    images = stored(node, tmp_path / "in", 3)
    uid = asked(node, request_for(images, profile))
    assert over(node, uid).ExecutionStatus == "DONE"
    folder = media_of(node, uid) / "volume-1"
    judged(folder)
    wanted = sorted(str(each.SOPInstanceUID) for each in images)
    assert uids_by_pydicom(folder) == uids_read_by_us(folder) == wanted
    assert dcmdump(folder / "DICOMDIR").count("[IMAGE]") == 3
    assert gantry("media", "check", folder).returncode == 0
