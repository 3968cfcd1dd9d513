"""What goes out where a peer does not take an object as it is: converted, generalised, split."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pydicom
import pytest

from agent.archive.archive import Archive
from agent.configuration.load import load
from agent.dataset.transfer_syntaxes import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from agent.loop import Loop, TaskGroup, timeout
from agent.loop.workers import Template, WorkerPool
from agent.workflow.delivery import Delivery
from tests.archive.objects import Rules, SampleObject, sample
from tests.peers.dcmtk import DcmtkStoreScp
from tests.peers.pynetdicom_peer import PynetdicomScp
from tests.peers.sample_files import data_set_bytes
from tests.workflow.test_delivery import (
    Test,
    configured,
    delivered,
    open_jobs,
    peer,
    store,
    until,
    until_held,
)

TWELVE_LEAD = "1.2.840.10008.5.1.4.1.1.9.1.1"
GENERAL_ECG = "1.2.840.10008.5.1.4.1.1.9.1.2"


def run(folder: Path, peers: str, test: Test) -> None:
    """As `tests.workflow.test_delivery.run`, with a pool for conversions."""
    template = Template.start()
    configuration = load(files=[configured(folder, peers)])

    async def main() -> None:
        pool = WorkerPool(template, limit=1)
        archive = await Archive.open(folder / "archive", template, Rules(("FAR",)), pool=pool)
        try:
            delivery = Delivery(configuration, {"main": archive}, pool=pool)
            with timeout(40):
                async with TaskGroup() as group:
                    group.start(delivery.run(), name="delivery")
                    await test(archive, delivery)
                    group.cancel()
        finally:
            await archive.close()
            pool.close()

    try:
        Loop().run(main())
    finally:
        template.close()


@pytest.mark.peer
@pytest.mark.parametrize(
    ("taken", "stored", "arrives"),
    [
        ("+xi", EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN),
        ("+xi", EXPLICIT_VR_BIG_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN),
        ("+xi", DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN),
        # The ones that only prefer: what they take as it is, is not turned.
        ("+xe", IMPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN),
        ("+xb", EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN),
    ],
)
def test_an_object_goes_out_in_a_native_syntax_that_the_peer_takes(
    tmp_path: Path, start_peer: Any, taken: str, stored: str, arrives: str
) -> None:
    far = start_peer(DcmtkStoreScp(tmp_path / "far", transfer_syntaxes=(taken,)))
    one = sample("1.2.3.1", transfer_syntax=stored, pixels=bytes(range(256)) * 64)

    async def test(archive: Archive, delivery: Delivery) -> None:
        await store(archive, delivery, one)
        await until(delivered(delivery, "FAR", 1))
        assert not await open_jobs(archive)

    run(tmp_path, peer("FAR", far.port), test)
    (path,) = far.wait_for_files(1)
    arrived = pydicom.dcmread(path)
    sent = pydicom.dcmread(io.BytesIO(one.meta + one.data_set))
    assert arrived.file_meta.TransferSyntaxUID == arrives
    assert (arrived.PatientName, arrived.SOPInstanceUID) == (sent.PatientName, "1.2.3.1")
    assert len(arrived.PixelData) == len(sent.PixelData)
    if stored == arrives:
        assert data_set_bytes(path) == one.data_set


@pytest.mark.peer
def test_mx_10_what_a_peer_likes_best_is_what_it_gets(
    tmp_path: Path, dcmtk_storescp: DcmtkStoreScp
) -> None:
    one = sample("1.2.3.1")
    likes = f'transfer_syntaxes = ["{IMPLICIT_VR_LITTLE_ENDIAN}"]\n'

    async def test(archive: Archive, delivery: Delivery) -> None:
        await store(archive, delivery, one)
        await until(delivered(delivery, "FAR", 1))

    run(tmp_path, peer("FAR", dcmtk_storescp.port, more=likes), test)
    (path,) = dcmtk_storescp.wait_for_files(1)
    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == IMPLICIT_VR_LITTLE_ENDIAN


def uid_element(uid: str) -> bytes:
    value = uid.encode()
    value += b"\0" * (len(value) % 2)
    return b"UI" + len(value).to_bytes(2, "little") + value


def of_class(uid: str, sop_class: str) -> SampleObject:
    made = sample(uid)
    before, after = uid_element(made.sop_class_uid), uid_element(sop_class)
    data_set = made.data_set.replace(before, after, 1)
    return type(made)(made.meta, data_set, uid, sop_class_uid=sop_class)


@pytest.mark.peer
def test_ps34_024_a_peer_without_the_class_gets_the_related_general_one(
    tmp_path: Path, start_peer: Any
) -> None:
    far = start_peer(PynetdicomScp(tmp_path / "far", sop_classes=(GENERAL_ECG,)))
    one = of_class("1.2.3.1", TWELVE_LEAD)

    async def test(archive: Archive, delivery: Delivery) -> None:
        await store(archive, delivery, one)
        await until(delivered(delivery, "FAR", 1))

    run(tmp_path, peer("FAR", far.port), test)
    (path,) = far.received()
    arrived = pydicom.dcmread(path, force=True)
    # PS3.4 B.4.2.1: the general class, the same instance, and its own class beside it.
    assert arrived.SOPClassUID == GENERAL_ECG
    assert arrived.SOPInstanceUID == "1.2.3.1"
    assert arrived.OriginalSpecializedSOPClassUID == TWELVE_LEAD


@pytest.mark.peer
def test_what_needs_more_than_128_contexts_goes_over_several_associations(
    tmp_path: Path, start_peer: Any
) -> None:
    classes = [
        f"1.2.840.10008.5.1.4.1.1.{number}.{part}" for number in (501, 502) for part in range(1, 71)
    ]
    far = start_peer(DcmtkStoreScp(tmp_path / "far", "--promiscuous"))
    objects = [of_class(f"1.2.3.{number}", uid) for number, uid in enumerate(classes)]

    async def test(archive: Archive, delivery: Delivery) -> None:
        await archive.pause("FAR")
        await store(archive, delivery, *objects)
        await archive.resume("FAR")
        delivery.hurry()
        await until(delivered(delivery, "FAR", len(objects)))

    run(tmp_path, peer("FAR", far.port), test)
    arrived = {pydicom.dcmread(each, force=True).SOPClassUID for each in far.received()}
    assert arrived == set(classes)


@pytest.mark.peer
def test_after_a_failure_the_association_is_given_up_where_that_is_configured(
    tmp_path: Path, start_peer: Any
) -> None:
    far = start_peer(PynetdicomScp(tmp_path / "far", status=0xC123))
    stop = '[delivery]\non_failure = "stop"\n'

    async def test(archive: Archive, delivery: Delivery) -> None:
        await archive.pause("FAR")
        await store(archive, delivery, *(sample(f"1.2.3.{each}") for each in range(3)))
        await archive.resume("FAR")
        delivery.hurry()
        held = await until_held(archive, 3)
        assert {each.status for each in held} == {0xC123}

    run(tmp_path, stop + peer("FAR", far.port), test)
    assert far.associations() == 3
