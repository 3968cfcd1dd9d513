"""Lines 21, 23, 28, 34 and 35 of the checklist of the iConnect Access statement: keys of a query,
criteria of series, what is pushed, what a relay changes, how many associations a transfer opens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

from tests.checklists.retrieving import EXPLICIT, MR, Made, store
from tests.cli_of import gantry
from tests.node.running import NodeProcess, peer_table
from tests.node.test_fetch import over, source, stored
from tests.peers.counting_relay import Connections, Relay
from tests.peers.dcmtk import DcmtkQueryRetrieveScp, DcmtkStoreScp
from tests.peers.process import wait_until
from tests.peers.querying import ScriptedArchive
from tests.peers.raw_pdu import c_store_request, data, proposed_context, value
from tests.peers.raw_peer import RawPeer
from tests.peers.sample_files import data_set_bytes

pytestmark = pytest.mark.peer

STUDY, OTHER = "1.2.826.0.1.3680043.9.81", "1.2.826.0.1.3680043.9.82"


class Studies(ScriptedArchive):
    """Has studies 1.1 to 1.4, with one series each: of heads, but for the second."""

    def _find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        asked = event.identifier
        self.asked.append(asked)
        for number in range(1, 5):
            uid = f"1.{number}"
            wanted = asked.StudyInstanceUID
            if wanted and uid not in ([wanted] if isinstance(wanted, str) else list(wanted)):
                continue
            found = Dataset()
            found.QueryRetrieveLevel = asked.QueryRetrieveLevel
            found.StudyInstanceUID = uid
            if asked.QueryRetrieveLevel == "SERIES":
                # It returns the key without matching it (C.2.2.1.3): we look again.
                found.SeriesInstanceUID = f"{uid}.1"
                found.BodyPartExamined = "FOOT" if number == 2 else "HEAD"
            else:
                found.PatientID = "P1"
            yield 0xFF00, found


ALWAYS_ASKED = (
    *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex"),
    *("StudyInstanceUID", "StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID"),
    *("AccessionNumber", "StudyDescription", "StudyArrivalDate", "NumberOfStudyRelatedSeries"),
    "NumberOfStudyRelatedInstances",
)


def test_ic_21_a_query_for_studies_carries_its_level_and_every_key_empty(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path / "near")
    with ScriptedArchive() as far:
        node.write(source("FAR", far.port, '"query"'))
        with node:
            words = ["IssuerOfPatientID", "StudyArrivalDate", "--control", str(node.control)]
            gantry("search", *words).check()
    (asked,) = far.asked
    assert asked.QueryRetrieveLevel == "STUDY"
    assert {each: str(asked[each].value or "") for each in ALWAYS_ASKED} == dict.fromkeys(
        ALWAYS_ASKED, ""
    )


@pytest.mark.parametrize("single", [True, False])
def test_ic_23_a_criterion_of_series_is_asked_of_one_study_after_the_other(
    tmp_path: Path, single: bool
) -> None:
    node = NodeProcess(tmp_path / "near")
    with Studies() as far:
        quirk = f"[peer.quirks]\nsingle_uids = {str(single).lower()}\n"
        node.write(source("FAR", far.port, '"query"', quirk))
        with node:
            control = ["--json", "--control", str(node.control)]
            words = ["PatientID=P1", "BodyPartExamined=HEAD"]
            found = gantry("search", *words, *control).check().output.splitlines()[0]
            uids = [each["values"]["0020000D"]["Value"][0] for each in json.loads(found)["answers"]]
            assert uids == ["1.1", "1.3", "1.4"]
            studies, *series = far.asked
            assert studies.QueryRetrieveLevel == "STUDY" and studies.PatientID == "P1"
            assert "BodyPartExamined" not in studies
            assert [each.StudyInstanceUID for each in series] == ["1.1", "1.2", "1.3", "1.4"]
            for each in series:
                assert each.QueryRetrieveLevel == "SERIES" and each.BodyPartExamined == "HEAD"
                # Below the study there is no key of it but its UID (C.4.1.2.1).
                assert "PatientID" not in each
            # A list of UIDs goes as a list, or in so many queries.
            far.asked.clear()
            words = ["StudyInstanceUID=1.1\\1.3"]
            found = gantry("search", *words, *control).check().output.splitlines()[0]
            assert len(json.loads(found)["answers"]) == 2
            asked = [each.StudyInstanceUID for each in far.asked]
            assert asked == (["1.1", "1.3"] if single else [["1.1", "1.3"]])


@pytest.mark.parametrize("services", ['"query", "get"', '"get"'])
def test_ic_23_a_peer_that_takes_one_uid_is_asked_for_one_instance_after_the_other(
    tmp_path: Path, services: str
) -> None:
    objects = [Made(f"{STUDY}.{n}", STUDY) for n in (1, 2, 3)]
    wanted = [each.uid for each in objects[:2]]
    node = NodeProcess(tmp_path / "near")
    with DcmtkQueryRetrieveScp(tmp_path / "far") as far:
        store(far.port, objects, window=1, called=far.ae_title)
        quirk = "[peer.quirks]\nsingle_uids = true\n"
        node.write(source("FAR", far.port, services, quirk, title=far.ae_title))
        with node:
            keys = {"series": f"{STUDY}.1", "instances": wanted}
            (begun,) = node.ask("fetch-begin", peer="FAR", studies=[STUDY], **keys)["items"]
            done = over(node, begun["id"])
            assert (done["state"], done["done"], done["expected"]) == ("COMPLETED", 2, 2), done
            assert stored(node, STUDY) == set(wanted)
        wait_until(lambda: f"{wanted[-1]}]" in far.log.read_text(), "the peer's log tells of all")
        log = far.log.read_text()
        assert f"{wanted[0]}]" in log, log[-2000:]
        assert "\\1.2" not in log, "no UID behind another"


@pytest.mark.parametrize("end", ["release", "abort", "kill"])
def test_ic_28_what_was_pushed_is_processed_however_its_association_ended(
    tmp_path: Path, end: str
) -> None:
    """The objects that came whole are here and go on; of the one that was cut there is nothing."""
    pushed = [Made(f"{STUDY}.{n}", STUDY, MR) for n in (1, 2)]
    half = Made(f"{STUDY}.3", STUDY, MR, size=40_000)
    far = DcmtkStoreScp(tmp_path / "far", ae_title="FAR")
    with far, NodeProcess(tmp_path / "near", peer_table("FAR", far.port)) as node:
        with RawPeer.connect(node.port) as peer:
            # Nobody asked for it, and nobody knows who sends it.
            peer.associate(proposed_context(1, MR, EXPLICIT), calling="ANYBODY")
            for count, each in enumerate(pushed, 1):
                request = c_store_request(each.sop_class, each.uid, count)
                peer.send_message(1, request, each.data_set())
                assert peer.receive_message().command[0x0900] == b"\0\0"
            if end == "release":
                peer.release()
            else:
                request = c_store_request(half.sop_class, half.uid, 3)
                begun = data(value(1, 3, request)) + data(value(1, 0, half.data_set()[:20_000]))
                peer.send(begun)
                if end == "abort":
                    peer.send(b"\x07\0\0\0\0\4\0\0\0\0")
                    peer.close()
                else:
                    peer.reset()
        assert len(far.wait_for_files(2)) == 2
        wait_until(lambda: not node.ask("status")["associations"], "it has ended")
        assert stored(node, STUDY) == {each.uid for each in pushed}
        assert len(node.objects()) == len(far.received()) == 2
        ended = {"release": "how=released", "abort": 'how="aborted by the peer"', "kill": "how="}
        assert ended[end] in node.log.partition("association ended")[2].partition("\n")[0]


def test_ic_34_a_relay_keeps_every_byte_of_the_data_set_with_its_private_groups(
    tmp_path: Path,
) -> None:
    private = {
        0x20010010: (b"LO", b"Philips Imaging DD 001"),
        0x20011003: (b"OW", b"\x01\x02\x03\x04"),
        0x20070010: (b"LO", b"SOMEBODY"),
        0x20071001: (b"LO", b"kept"),
        0x650B0010: (b"LO", b"NOBODY"),
        0x650B1002: (b"OB", b"\xff\x00"),
    }
    sent = Made(f"{STUDY}.1", STUDY, more=private)
    archive = DcmtkQueryRetrieveScp(tmp_path / "archive")
    target = DcmtkStoreScp(tmp_path / "target", ae_title="THIRD")
    node = NodeProcess(tmp_path / "near")
    with archive, target:
        store(archive.port, [sent], window=1, called=archive.ae_title)
        node.write(
            source("FAR", archive.port, '"query", "get"', title=archive.ae_title)
            + source("THIRD", target.port, '"storage"')
        )
        with node:
            (begun,) = node.ask("fetch-begin", peer="FAR", studies=[STUDY], target="THIRD")["items"]
            assert over(node, begun["id"])["state"] == "COMPLETED"
        (there,) = target.received()
        assert data_set_bytes(there) == sent.data_set()


@pytest.mark.parametrize("most", [0, 1])
def test_ic_35_the_transfer_opens_one_association_at_a_time(tmp_path: Path, most: int) -> None:
    connections = Connections()
    archive = DcmtkQueryRetrieveScp(tmp_path / "archive")
    targets = {name: DcmtkStoreScp(tmp_path / name, ae_title=name) for name in ("THIRD", "FOURTH")}
    node = NodeProcess(tmp_path / "near")
    relays: list[Relay] = []

    def through(port: int) -> int:
        relays.append(Relay(port, connections))
        return relays[-1].port

    with archive, targets["THIRD"], targets["FOURTH"]:
        for study in (STUDY, OTHER):
            store(
                archive.port,
                [Made(f"{study}.{n}", study) for n in (1, 2, 3)],
                window=1,
                called=archive.ae_title,
            )
        quick = '[peer.window]\nidle = "0.1 s"\n'
        node.write(
            f"[entity.limits]\nassociations_opened = {most}\n"
            + source("FAR", through(archive.port), '"query", "get"', title=archive.ae_title)
            + "".join(
                source(name, through(peer.port), '"storage"', quick)
                for name, peer in targets.items()
            )
        )
        with node:
            begun = [
                node.ask("fetch-begin", peer="FAR", studies=[study], target=target)["items"][0]
                for study, target in ((STUDY, "THIRD"), (OTHER, "FOURTH"))
            ]
            for each in begun:
                assert over(node, each["id"], seconds=60)["state"] == "COMPLETED"
            assert all(len(each.received()) == 3 for each in targets.values())
        for each in relays:
            each.close()
    # Two queries, two retrievals, two deliveries at the least.
    assert connections.all >= 6
    assert connections.most == 1 if most else connections.most > 1
