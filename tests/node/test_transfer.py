"""Studies from one archive to another, by way of us or not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from tests.checklists.retrieving import Made, store
from tests.cli_of import gantry
from tests.node.running import NodeProcess, free_port
from tests.node.test_fetch import over, source, stored
from tests.peers.dcmtk import DcmtkQueryRetrieveScp, DcmtkStoreScp
from tests.peers.orthanc import Orthanc
from tests.peers.process import wait_until

pytestmark = pytest.mark.peer

STUDY = "1.2.826.0.1.3680043.9.51"
OBJECTS = [Made(f"{STUDY}.{n}", STUDY) for n in range(1, 5)]
UIDS = {each.uid for each in OBJECTS}
TARGET = "THIRD"


def target_table(port: int) -> str:
    return source(TARGET, port, '"storage"')


@pytest.fixture(scope="module")
def target_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def archive(
    tmp_path_factory: pytest.TempPathFactory, target_port: int
) -> Iterator[DcmtkQueryRetrieveScp]:
    peer = DcmtkQueryRetrieveScp(
        tmp_path_factory.mktemp("far"), move_destinations={TARGET: ("127.0.0.1", target_port)}
    )
    with peer:
        store(peer.port, OBJECTS, window=1, called=peer.ae_title)
        yield peer


def received(peer: DcmtkStoreScp) -> list[str]:
    return sorted(str(dcmread(path).SOPInstanceUID) for path in peer.received())


def test_ic_33_mx_29_a_direct_transfer_passes_us_by(
    archive: DcmtkQueryRetrieveScp, target_port: int, tmp_path: Path
) -> None:
    far = source("FAR", archive.port, '"query", "move", "get"', title="QRSCP")
    node = NodeProcess(tmp_path / "near", far + target_table(target_port))
    orthanc = Orthanc(tmp_path / "orthanc", ae_title=TARGET, port=target_port)
    with node:
        control = ["--control", str(node.control)]
        words = ["transfer", "--from", "FAR", "--to", TARGET, "--direct", "--study", STUDY]
        begun = gantry(*words, *control).check()
        assert "FAR to THIRD" in begun.output
        # The target is away: the source says that all failed, and it is asked again.
        wait_until(lambda: "fetch waits" in node.log, "the first try failed")
        assert node.ask("fetch-list")["items"][0]["state"] == "IN PROGRESS"
        node.kill()
        node.start()
        with orthanc:
            done = over(node, 1)
            assert (done["state"], done["done"]) == ("COMPLETED", 4), done
            assert orthanc.sop_instance_uids() == UIDS
        assert not stored(node, STUDY) and not node.objects()


def test_ic_33_mx_30_a_brokered_transfer_outlives_its_node_with_nothing_lost_or_twice(
    archive: DcmtkQueryRetrieveScp, tmp_path: Path
) -> None:
    far = source("FAR", archive.port, '"query", "get"', title="QRSCP")
    peer = DcmtkStoreScp(tmp_path / "target", ae_title=TARGET, port=free_port())
    node = NodeProcess(tmp_path / "near", far + target_table(peer.port))

    def now() -> dict[str, Any]:
        return dict(node.ask("fetch-list")["items"][0])

    with node:
        control = ["--control", str(node.control)]
        words = ["transfer", "--from", "FAR", "--to", TARGET, "--brokered", "--study", STUDY]
        gantry(*words, *control).check()
        wait_until(lambda: now()["waits"].startswith("being delivered"), "all came")
        assert stored(node, STUDY) == UIDS
        node.kill()
        node.start()
        assert now()["stage"] == "delivering"
        with peer.start():
            done = over(node, 1)
            assert done["state"] == "COMPLETED", done
            assert received(peer) == sorted(UIDS)
            assert node.queue(TARGET)["waiting"] == 0
            # What is here already is only delivered; a series of it as well.
            (begun,) = node.ask(
                "fetch-begin", peer="FAR", studies=[STUDY], series=f"{STUDY}.1", target=TARGET
            )["items"]
            assert over(node, begun["id"])["state"] == "COMPLETED"
            for path in peer.received():
                assert dcmread(path).PixelData == bytes(200)


def test_what_is_no_transfer_is_refused(archive: DcmtkQueryRetrieveScp, tmp_path: Path) -> None:
    far = source("FAR", archive.port, '"query", "get"', title="QRSCP")
    with NodeProcess(tmp_path, far + target_table(free_port())) as node:
        control = ["--control", str(node.control)]
        words = ["transfer", "--from", "FAR", "--study", STUDY, *control]
        assert "where to" in gantry(*words).output
        assert "does not offer move" in gantry(*words, "--to", TARGET, "--direct").output
        assert "no peer NOBODY" in gantry(*words, "--to", "NOBODY").output
