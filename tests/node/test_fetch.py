"""Retrieval as a job of the node: from archives of others into ours."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.errors import LocalError
from tests.checklists.retrieving import CT, MR, Made, element, store
from tests.cli_of import gantry
from tests.node.running import NodeProcess, free_port
from tests.peers.dcmtk import DcmtkQueryRetrieveScp, storescu
from tests.peers.orthanc import Orthanc
from tests.peers.process import wait_until

pytestmark = pytest.mark.peer

STUDY, OTHER = "1.2.826.0.1.3680043.9.31", "1.2.826.0.1.3680043.9.32"
OBJECTS = [
    *(Made(f"{STUDY}.{n}", STUDY) for n in range(1, 5)),
    Made(f"{OTHER}.1", OTHER, MR),
]
KEY_OBJECT, PRESENTATION_STATE = "1.2.840.10008.5.1.4.1.1.88.59", "1.2.840.10008.5.1.4.1.1.11.1"
QUICK = '[peer.retry]\nfirst = "0.2 s"\nlongest = "0.5 s"\n'


def source(name: str, port: int, services: str, more: str = "", title: str = "") -> str:
    """A peer that can be retrieved from."""
    return (
        f'[[peer]]\nname = "{name}"\ntitle = "{title or name}"\nservices = [{services}]\n'
        f'addresses = ["127.0.0.1:{port}"]\n{QUICK}{more}'
    )


def over(node: NodeProcess, number: int, seconds: float = 20.0) -> dict[str, Any]:
    """The retrieval when it is over."""
    end = time.monotonic() + seconds
    while True:
        (found,) = [each for each in node.ask("fetch-list")["items"] if each["id"] == number]
        if found["state"] != "IN PROGRESS":
            return dict(found)
        assert time.monotonic() < end, (found, node.log[-3000:])
        time.sleep(0.05)


def fetch(node: NodeProcess, peer: str, study: str, **more: Any) -> dict[str, Any]:
    """Ask for one, and wait for its end."""
    (begun,) = node.ask("fetch-begin", peer=peer, studies=[study], **more)["items"]
    return over(node, begun["id"])


def stored(node: NodeProcess, study: str) -> set[str]:
    """The instances of a study that the node has."""
    try:
        items = node.ask("instances", study_instance_uid=study)["items"]
    except LocalError:
        return set()
    return {uid for _, uid in items}


def delete(node: NodeProcess, uid: str) -> None:
    node.ask("delete", level="study", uid=uid, force=True)


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[DcmtkQueryRetrieveScp]:
    peer = DcmtkQueryRetrieveScp(
        tmp_path_factory.mktemp("far"), move_destinations={"GANTRY": ("127.0.0.1", port)}
    )
    with peer:
        store(peer.port, OBJECTS, window=1, called=peer.ae_title)
        yield peer


@pytest.fixture(scope="module")
def node(
    tmp_path_factory: pytest.TempPathFactory, archive: DcmtkQueryRetrieveScp, port: int
) -> Iterator[NodeProcess]:
    """Takes only what it asked for."""
    node = NodeProcess(tmp_path_factory.mktemp("near"), accept='calling = "any"\nsolicited = true')
    node.port = port
    node.write(
        source("FAR", archive.port, '"query", "move"', title="QRSCP")
        + source("AWAY", free_port(), '"query", "get"')
        + source("SENDS", archive.port, '"storage"')
    )
    with node:
        yield node


@pytest.mark.parametrize("services", ['"query", "move"', '"query", "move", "get"', '"move"'])
def test_a_study_a_series_and_instances_come_whole(
    node: NodeProcess, archive: DcmtkQueryRetrieveScp, services: str
) -> None:
    node.write(
        source("FAR", archive.port, services, title="QRSCP")
        + source("AWAY", free_port(), '"query", "get"')
        + source("SENDS", archive.port, '"storage"')
    )
    node.reload()
    peer = "FAR"
    wanted = {each.uid for each in OBJECTS[:4]}
    done = fetch(node, peer, STUDY)
    assert (done["state"], done["done"], done["expected"]) == ("COMPLETED", 4, 4), done
    assert stored(node, STUDY) == wanted
    delete(node, STUDY)
    done = fetch(node, peer, STUDY, series=f"{STUDY}.1", instances=[f"{STUDY}.2", f"{STUDY}.3"])
    assert done["state"] == "COMPLETED", done
    assert stored(node, STUDY) == {f"{STUDY}.2", f"{STUDY}.3"}
    if "query" in services:
        # Only what is missing is asked for, by name.
        done = fetch(node, peer, STUDY, series=f"{STUDY}.1")
        assert (done["state"], done["done"]) == ("COMPLETED", 4) and stored(node, STUDY) == wanted
    delete(node, STUDY)


def test_ic_27_what_no_retrieval_waits_for_is_refused_and_not_kept(
    node: NodeProcess, archive: DcmtkQueryRetrieveScp, tmp_path: Path
) -> None:
    fetch(node, "FAR", OTHER)
    path = tmp_path / "unasked.dcm"
    path.write_bytes(node.objects()[0].read_bytes())
    delete(node, OTHER)
    said = storescu(node.port, path, options=["-v"])
    assert "0124" in said.output or said.returncode, said.output
    assert not stored(node, OTHER)


def test_what_was_fetched_goes_on_by_routes_that_name_it(
    node: NodeProcess, archive: DcmtkQueryRetrieveScp
) -> None:
    before = node.configuration.read_text()
    route = '[[route]]\nname = "all"\ndeliver = ["AWAY"]\n'
    for services in ('"query", "move"', '"query", "get"'):
        peers = source("FAR", archive.port, services, title="QRSCP")
        peers += source("AWAY", free_port(), '"storage"')
        node.write(peers + route)
        node.reload()
        fetch(node, "FAR", OTHER)
        assert not node.queue("AWAY").get("waiting")
        delete(node, OTHER)
        node.write(peers + route + '[route.match]\nsource = ["fetch"]\n')
        node.reload()
        fetch(node, "FAR", OTHER)
        assert [each["sop_instance_uid"] for each in node.ask("queue")["items"]] == [f"{OTHER}.1"]
        delete(node, OTHER)
    node.configuration.write_text(before)
    node.reload()


def _item(*elements: tuple[int, bytes, bytes]) -> bytes:
    content = b"".join(element(*each) for each in elements)
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(content)) + content


def test_ic_37_what_key_objects_and_presentation_states_refer_to_is_fetched_too(
    node: NodeProcess, archive: DcmtkQueryRetrieveScp
) -> None:
    def sop(name: Made) -> bytes:
        return _item((0x00081150, b"UI", CT.encode()), (0x00081155, b"UI", name.uid.encode()))

    def series(each: Made, tag: int, *names: Made) -> bytes:
        return _item(
            (tag, b"SQ", b"".join(map(sop, names))), (0x0020000E, b"UI", each.series.encode())
        )

    root = "1.2.826.0.1.3680043.9.33"
    images = [Made(f"{root}.1.{n}", f"{root}.1") for n in (1, 2, 3)]
    evidence = _item(
        (0x00081115, b"SQ", series(images[0], 0x00081199, *images[:2])),
        (0x0020000D, b"UI", images[0].study.encode()),
    )
    key_object = Made(f"{root}.2.1", f"{root}.2", KEY_OBJECT, more={0x0040A375: (b"SQ", evidence)})
    mine = Made(f"{root}.3.1", f"{root}.3")
    state = Made(
        f"{root}.3.2",
        f"{root}.3",
        PRESENTATION_STATE,
        more={
            0x0020000E: (b"UI", f"{root}.3.9".encode()),
            0x00081115: (b"SQ", series(mine, 0x00081140, mine)),
        },
    )
    store(archive.port, [*images, key_object, mine, state], window=1, called="QRSCP")
    for study, more, wanted in (
        (f"{root}.2", {}, {(f"{root}.1", each.uid) for each in images[:2]}),
        (f"{root}.3", {"series": f"{root}.3.9"}, {(f"{root}.3", mine.uid)}),
    ):
        done = fetch(node, "FAR", study, **more)
        reason = f"what fetch {done['id']} refers to"
        (further,) = [each for each in node.ask("fetch-list")["items"] if each["reason"] == reason]
        assert over(node, further["id"])["state"] == "COMPLETED"
        for place, uid in wanted:
            assert uid in stored(node, place)
    assert images[2].uid not in stored(node, images[0].study)


def test_what_the_peer_has_not_is_over_at_once_and_says_why(node: NodeProcess) -> None:
    done = fetch(node, "FAR", "1.2.3.4")
    assert done["state"] == "DISCONTINUED" and "no such objects" in done["failed"]


def test_what_cannot_be_is_refused(node: NodeProcess) -> None:
    for fields, why in (
        ({"peer": "NOBODY"}, "no peer"),
        ({"peer": "SENDS"}, "does not offer"),
        ({"peer": "FAR", "instances": ["1.2"]}, "with their series"),
    ):
        with pytest.raises(LocalError, match=why):
            node.ask("fetch-begin", studies=[STUDY], **fields)


def test_one_that_waits_is_listed_held_retried_and_stopped(node: NodeProcess) -> None:
    begun = [
        node.ask("fetch-begin", peer="AWAY", studies=[STUDY])["items"][0]["id"] for _ in range(2)
    ]
    assert begun[0] == begun[1], "the same is not asked for twice"
    number = begun[0]

    def now() -> dict[str, Any]:
        return next(each for each in node.ask("fetch-list")["items"] if each["id"] == number)

    wait_until(lambda: now()["attempts"] > 1, "tried again")
    assert any(each["id"] == number for each in node.ask("status")["work"])
    node.ask("fetch-hold", id=number)
    # One that is under way ends as it will.
    wait_until(lambda: now()["stage"] == "held", "it is held")
    time.sleep(0.6)
    attempts = now()["attempts"]
    time.sleep(1.5)
    assert now()["attempts"] <= attempts + 1 and now()["stage"] == "held"
    attempts = now()["attempts"]
    time.sleep(1.5)
    assert now()["attempts"] == attempts
    node.ask("fetch-retry", id=number)
    wait_until(lambda: now()["attempts"] >= 1 and not now()["is_held"], "tried again")
    control = ["--control", str(node.control)]
    assert gantry("fetch", "--stop", str(number), *control).returncode == 0
    assert over(node, number)["failed"] == "stopped by a person"
    assert f"{number}  discontinued" in gantry("fetch", "--list", *control).output
    with pytest.raises(LocalError, match="not in progress"):
        node.ask("fetch-stop", id=number)


def test_mx_30_a_retrieval_outlives_a_peer_that_is_away_and_a_killed_node(tmp_path: Path) -> None:
    far = DcmtkQueryRetrieveScp(tmp_path / "far")
    with far:
        store(far.port, OBJECTS, window=1, called=far.ae_title)
    node = NodeProcess(
        tmp_path / "near", source("FAR", far.port, '"query", "get"', title=far.ae_title)
    )
    with node:
        (begun,) = node.ask("fetch-begin", peer="FAR", studies=[STUDY])["items"]
        wait_until(lambda: "fetch waits" in node.log, "the first try failed")
        node.kill()
        node.start()
        assert node.ask("fetch-list")["items"][0]["state"] == "IN PROGRESS"
        with far.start():
            assert over(node, begun["id"])["state"] == "COMPLETED"
        assert stored(node, STUDY) == {each.uid for each in OBJECTS[:4]}


def test_from_orthanc(tmp_path: Path) -> None:
    port = free_port()
    orthanc = Orthanc(tmp_path / "far", modalities={"GANTRY": ("127.0.0.1", port)})
    node = NodeProcess(tmp_path / "near", accept='calling = "any"\nsolicited = true')
    node.port = port
    with orthanc:
        node.write(
            source("MOVES", orthanc.port, '"query", "move"', title="ORTHANC")
            + source("GETS", orthanc.port, '"query", "get"')
        )
        store(orthanc.port, OBJECTS, window=1, called="ORTHANC")
        with node:
            assert fetch(node, "MOVES", STUDY)["state"] == "COMPLETED"
            assert fetch(node, "GETS", OTHER)["state"] == "COMPLETED"
            assert stored(node, STUDY) | stored(node, OTHER) == {each.uid for each in OBJECTS}


def peak(node: NodeProcess) -> int:
    """The most memory that the node's process ever had, in KiB."""
    assert node.process is not None
    status = Path(f"/proc/{node.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


@pytest.mark.long
@pytest.mark.parametrize("way", ["get", "move"])
def test_ic_38_ten_thousand_instances_take_a_few_megabytes(tmp_path: Path, way: str) -> None:
    study = f"{STUDY}.10000"
    services = "".join(
        f'[[entity.service]]\nname = "{name}"\n' for name in ("storage", "query", "get", "move")
    )
    near = NodeProcess(tmp_path / "near", accept='calling = "any"\nsolicited = true')
    far = NodeProcess(
        tmp_path / "far",
        f'{services}[[peer]]\nname = "NEAR"\ntitle = "GANTRY"\n'
        f'addresses = ["127.0.0.1:{near.port}"]\n',
    )
    near.write(source("FAR", far.port, f'"query", "{way}"', title="GANTRY"))
    with far, near:
        store(far.port, [Made(f"{study}.{n}", study, size=100) for n in range(10_000)], window=64)
        before = peak(near)
        (begun,) = near.ask("fetch-begin", peer="FAR", studies=[study])["items"]
        done = over(near, begun["id"], seconds=110)
        assert (done["state"], done["done"]) == ("COMPLETED", 10_000)
        assert peak(near) - before < 12 * 1024
