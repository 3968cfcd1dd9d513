"""Retrieval of instances by UID, of frames, and without bulk data (PS3.4 Y and Z)."""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from tests.checklists import retrieving
from tests.checklists.retrieving import (
    IMPLICIT,
    INSTANCE_GET,
    INSTANCE_MOVE,
    WITHOUT_BULK_DATA,
    Destination,
    Made,
    encoded,
    get,
    identifier,
    move,
    peer_table,
    status,
)
from tests.cli_of import ROOT, gantry
from tests.node.running import NodeProcess
from tests.peers.pynetdicom_retrieval import pynetdicom_get
from tests.peers.raw_pdu import (
    A_RELEASE_RQ,
    Message,
    accepted_context,
    associate_accept,
    c_store_request,
    release_response,
    response,
    role_selection,
    user_information,
)
from tests.peers.raw_peer import RawServer

pytestmark = pytest.mark.peer

GRAYSCALE = "1.2.840.10008.5.1.4.1.1.7.2"
STILL, CINE = "1.2.826.0.1.3680043.9.11.1", "1.2.826.0.1.3680043.9.11.2"
STUDY = "1.2.826.0.1.3680043.9.11"
_IMAGE = {
    0x00080033: (b"TM", b"101112"),
    0x00280002: (b"US", struct.pack("<H", 1)),
    0x00280004: (b"CS", b"MONOCHROME2"),
    0x00280008: (b"IS", b"25"),
    0x00280010: (b"US", struct.pack("<H", 2)),
    0x00280011: (b"US", struct.pack("<H", 3)),
    0x00280100: (b"US", struct.pack("<H", 8)),
    0x00280101: (b"US", struct.pack("<H", 8)),
    0x00280102: (b"US", struct.pack("<H", 7)),
    0x00280103: (b"US", struct.pack("<H", 0)),
    0x7FE00010: (b"OB", b"".join(bytes([n] * 6) for n in range(1, 26))),
}


@pytest.fixture(scope="module")
def far() -> Iterator[Destination]:
    with Destination() as found:
        yield found


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, far: Destination) -> Iterator[NodeProcess]:
    more = f"{retrieving.SERVICES}{peer_table('FAR', far.port)}"
    with NodeProcess(tmp_path_factory.mktemp("node"), more) as found:
        cine = {**_IMAGE, 0x00181063: (b"DS", b"40")}
        retrieving.store(
            found.port,
            [
                Made(STILL, STUDY, GRAYSCALE, more=_IMAGE),
                Made(CINE, STUDY, GRAYSCALE, more=cine),
            ],
        )
        yield found


def frames_of(uid: str, **keys: bytes) -> bytes:
    """An identifier at FRAME level."""
    tags = {"simple": 0x00081161, "calculated": 0x00081162, "time": 0x00081163}
    values = {tags[name]: value for name, value in keys.items()}
    return encoded({0x00080018: uid.encode(), 0x00080052: b"FRAME ", **values})


def numbers(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}I", *values)


def read(message: Message) -> Dataset:
    """What was stored, in explicit VR little endian."""
    return dcmread(io.BytesIO(message.data_set), force=True)


GOLDEN = numbers(2, 9, 3, 12, 0xFFFFFFFF, 5)


def test_ps34_076_frames_come_as_a_new_instance_of_the_series_by_move_and_by_get(
    node: NodeProcess, far: Destination
) -> None:
    far.clear()
    moved = move(node.port, "FAR", frames_of(STILL, calculated=GOLDEN), sop_class=INSTANCE_MOVE)
    assert moved.status == 0 and moved.counts() == (None, 1, 0, 0)
    brought = get(
        node.port,
        frames_of(STILL, calculated=GOLDEN),
        sop_class=INSTANCE_GET,
        classes=(GRAYSCALE,),
    )
    assert brought.status == 0
    (by_move,), (by_get,) = far.requests, brought.stored
    assert by_move.data_set == by_get.data_set
    assert by_move.command[0x1000] == by_get.command[0x1000] != STILL.encode()
    found = read(by_get)
    assert found.PixelData == b"".join(bytes([n] * 6) for n in (2, 5, 8, 12, 17, 22))
    assert found.SeriesInstanceUID == f"{STUDY}.1" and found.NumberOfFrames == 6


@pytest.mark.parametrize(
    ("uid", "keys", "wanted"),
    [
        (STILL, {"simple": numbers(1), "calculated": numbers(1, 2, 1)}, 0xAA04),
        (f"{STILL}\\{CINE}", {"simple": numbers(1)}, 0xAA04),
        (STILL, {}, 0xAA04),
        (STILL, {"simple": numbers(2, 1)}, 0xAA04),
        (STILL, {"simple": numbers(26)}, 0xAA00),
        ("1.2.3", {"simple": numbers(1)}, 0xAA00),
        (STILL, {"time": struct.pack("<2d", 0, 1)}, 0xAA03),
    ],
)
def test_ps34_077_requests_for_frames_that_fail(
    node: NodeProcess, far: Destination, uid: str, keys: dict[str, bytes], wanted: int
) -> None:
    far.clear()
    request = frames_of(uid, **keys)
    moved = move(node.port, "FAR", request, sop_class=INSTANCE_MOVE)
    brought = get(node.port, request, sop_class=INSTANCE_GET, classes=(GRAYSCALE,))
    assert (moved.status, brought.status) == (wanted, wanted)
    assert far.associations == [] and not brought.stored


@pytest.mark.parametrize(
    ("keys", "frames"),
    [
        ({"simple": numbers(1, 25)}, (1, 25)),
        ({"calculated": numbers(24, 99, 1)}, (24, 25)),
        ({"time": struct.pack("<2d", 0.04, 0.1)}, (2, 3)),
    ],
)
def test_ps34_078_both_levels_and_all_three_keys(
    node: NodeProcess, keys: dict[str, bytes], frames: tuple[int, ...]
) -> None:
    brought = get(node.port, frames_of(CINE, **keys), sop_class=INSTANCE_GET, classes=(GRAYSCALE,))
    assert brought.status == 0
    assert read(brought.stored[0]).PixelData[::6] == bytes(frames)
    whole = get(
        node.port,
        identifier("IMAGE", image=f"{CINE}\\{STILL}"),
        sop_class=INSTANCE_GET,
        classes=(GRAYSCALE,),
    )
    assert whole.status == 0 and len(whole.stored) == 2
    assert (
        whole.stored[0].data_set
        == Made(CINE, STUDY, GRAYSCALE, more={**_IMAGE, 0x00181063: (b"DS", b"40")}).data_set()
    )


def test_frames_are_converted_where_the_peer_takes_another_syntax_only(
    node: NodeProcess,
) -> None:
    brought = get(
        node.port,
        frames_of(STILL, simple=numbers(3)),
        sop_class=INSTANCE_GET,
        classes=(GRAYSCALE,),
        syntaxes=(IMPLICIT,),
    )
    assert brought.status == 0
    assert brought.stored[0].data_set.endswith(bytes([3] * 6))


def test_ps34_079_without_bulk_data_all_else_is_unchanged(node: NodeProcess) -> None:
    brought = get(
        node.port,
        identifier("IMAGE", image=f"{CINE}\\{STILL}\\1.2.3"),
        sop_class=WITHOUT_BULK_DATA,
        classes=(GRAYSCALE,),
    )
    assert brought.status == 0 and len(brought.stored) == 2
    whole = Made(STILL, STUDY, GRAYSCALE, more=_IMAGE).data_set()
    assert brought.stored[1].data_set == whole[: -(150 + 12)]
    refused = get(
        node.port,
        frames_of(STILL, simple=numbers(1)),
        sop_class=WITHOUT_BULK_DATA,
        classes=(GRAYSCALE,),
    )
    assert refused.status == 0xA900


def test_cd_24_pynetdicom_gets_frames_and_dciodvfy_sees_an_image(
    node: NodeProcess, tmp_path: Path
) -> None:
    keys: dict[str, Any] = {
        "QueryRetrieveLevel": "FRAME",
        "SOPInstanceUID": CINE,
        "SimpleFrameList": [2, 4, 5, 6],
    }
    done = pynetdicom_get(node.port, INSTANCE_GET, keys, tmp_path, [GRAYSCALE])
    assert done[-1]["Status"] == 0, done
    (path,) = tmp_path.glob("*.dcm")
    found = dcmread(path)
    assert found.NumberOfFrames == 4 and found.PixelData[::6] == bytes([2, 4, 5, 6])
    assert [float(each) for each in found.FrameTimeVector] == [0, 80, 40, 40]


def test_cd_25_pynetdicom_gets_instances_without_bulk_data(
    node: NodeProcess, tmp_path: Path
) -> None:
    keys = {"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": [STILL, CINE]}
    done = pynetdicom_get(node.port, WITHOUT_BULK_DATA, keys, tmp_path, [GRAYSCALE])
    assert done[-1]["Status"] == 0, done
    found = [dcmread(path) for path in sorted(tmp_path.glob("*.dcm"))]
    assert [each.SOPInstanceUID for each in found] == [STILL, CINE]
    assert all("PixelData" not in each and each.Rows == 2 for each in found)


def test_gantry_get_gets_frames_and_shows_instances_without_bulk_data(
    node: NodeProcess, tmp_path: Path
) -> None:
    there = f"127.0.0.1:{node.port}"
    words = ["get", there, "--called", "GANTRY", "--level", "frame"]
    done = gantry(
        *words, f"SOPInstanceUID={CINE}", "TimeRange=0\\0.05", "--into", str(tmp_path / "frames")
    )
    assert done.returncode == 0, done.output
    (path,) = (tmp_path / "frames").iterdir()
    assert dcmread(path).PixelData[::6] == bytes([1, 2])
    wrong = gantry(
        *words, f"SOPInstanceUID={CINE}", "SimpleFrameList=2\\1", "--into", str(tmp_path / "no")
    )
    assert wrong.returncode == 2 and "does not increase" in wrong.output
    shown = gantry(
        *("get", there, "--called", "GANTRY", "--level", "image", "--json"),
        *("--model", "without-bulk-data", f"SOPInstanceUID={CINE}"),
    )
    assert shown.returncode == 0, shown.output
    instance = json.loads(shown.output)
    assert instance["00080018"]["Value"] == [CINE] and "7FE00010" not in instance


@pytest.mark.parametrize("scripted", [b"", b"\x08\0\x16\0UI\xff\0broken"])
def test_ps34_080_a_receiver_without_bulk_data_keeps_nothing(
    tmp_path: Path, scripted: bytes
) -> None:
    """Our receiver answers 0000 to what lacks its bulk data, never A9xx or B007; nothing is kept.
    What cannot be read at all is C000."""
    words = ["get", "--json", "--level", "image", "--model", "without-bulk-data"]
    with RawServer() as server:
        command = [sys.executable, "-m", "agent.cli.main", *words]
        command += [f"127.0.0.1:{server.port}", f"SOPInstanceUID={STILL}"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
        ) as process:
            with server.accept() as peer:
                # As acceptor: the storage contexts with their roles.
                request = peer.receive_pdu()
                contexts = {c[0]: c for kind, c in request.items() if kind == 0x20}
                roles = tuple(role_selection(uid, scu=False, scp=True) for uid in (GRAYSCALE,))
                peer.send(
                    associate_accept(
                        *(
                            accepted_context(n, 0, peer._first_syntax(c))
                            for n, c in contexts.items()
                        ),
                        user=user_information(*roles),
                    )
                )
                asked = peer.receive_message()
                assert STILL.encode() in asked.data_set
                context = next(n for n, c in contexts.items() if GRAYSCALE.encode() in c[:80])
                data = Made(STILL, STUDY, GRAYSCALE, more=_IMAGE).data_set()[: -(150 + 12)]
                store = c_store_request(GRAYSCALE, STILL, 7)
                peer.send_message(context, store, scripted or data)
                answer = peer.receive_message()
                peer.send_message(asked.context, response(asked.command, 0))
                assert peer.receive_pdu().kind == A_RELEASE_RQ
                peer.send(release_response())
            said = process.communicate(timeout=20)[0]
    assert status(answer) == (0xC000 if scripted else 0)
    assert list(tmp_path.iterdir()) == []
    assert process.returncode == (1 if scripted else 0)
    assert (STILL in said) is not bool(scripted)
