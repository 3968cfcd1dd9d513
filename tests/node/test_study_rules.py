"""Studies that a node retrieves by rule, and one search of several archives."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.archive.worklist_store import add_entry
from tests.checklists.retrieving import Made, store
from tests.cli_of import gantry
from tests.node.running import NodeProcess, free_port
from tests.node.test_fetch import source, stored
from tests.node.test_worklist import entry
from tests.peers.dcmtk import DcmtkQueryRetrieveScp
from tests.peers.orthanc import Orthanc
from tests.peers.process import wait_until

pytestmark = pytest.mark.peer

ROOT = "1.2.826.0.1.3680043.9.41"
SERVICES = "".join(
    f'[[entity.service]]\nname = "{name}"\nroles = ["scp"]\n'
    for name in ("storage", "query", "get", "worklist")
)


def day(days_ago: int) -> bytes:
    return time.strftime("%Y%m%d", time.localtime(time.time() - days_ago * 86400)).encode()


def study(number: int, days_ago: int, patient: str = "P1", part: bytes = b"ABDOMEN") -> list[Made]:
    """Two instances."""
    uid = f"{ROOT}.{number}"
    more = {
        0x00080020: (b"DA", day(days_ago)),
        0x00080030: (b"TM", b"120000"),
        0x00080050: (b"SH", b"A%d" % number),
        0x00100010: (b"PN", b"Doe^Jane"),
        0x00180015: (b"CS", part),
    }
    return [Made(f"{uid}.{n}", uid, more=more, patient_id=patient) for n in (1, 2)]


LATEST, BEFORE, OLD = study(1, 20), study(2, 200), study(3, 400)
ANCIENT, HEAD, STRANGER = study(4, 4000), study(5, 10, part=b"HEAD"), study(6, 5, "P2")


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """A node of ours: an archive with a worklist."""
    node = NodeProcess(tmp_path_factory.mktemp("far"), SERVICES)
    with node:
        store(node.port, [*LATEST, *BEFORE, *OLD, *ANCIENT, *HEAD, *STRANGER])
        yield node


def listed(node: NodeProcess) -> list[dict[str, Any]]:
    return list(node.ask("fetch-list")["items"])


def settled(node: NodeProcess, count: int) -> set[str]:
    """The studies that were retrieved, when there are so many and none goes on."""
    wait_until(
        lambda: (
            len(listed(node)) >= count
            and all(each["state"] != "IN PROGRESS" for each in listed(node))
        ),
        f"{count} retrievals",
    )
    assert {each["state"] for each in listed(node)} == {"COMPLETED"}, listed(node)
    return {each["study_instance_uid"] for each in listed(node)}


def test_priors_of_scheduled_patients_are_here_before_they_come(
    far: NodeProcess, tmp_path: Path
) -> None:
    folder = far.folder / "state" / "worklist"
    add_entry(str(folder), entry(1))
    away = source("AWAY", free_port(), '"query", "get"')
    rule = (
        '[[prefetch]]\nname = "priors"\npeer = ["FAR"{more}]\nevery = "5 s"\nmost = 2\n'
        'days = 1000\nbody_parts = ["ABDOMEN"]\n[worklist]\npeer = "FAR"\nevery = "5 s"\n'
    )
    peer = source("FAR", far.port, '"query", "get", "worklist"', title="GANTRY")
    node = NodeProcess(tmp_path, peer + away + rule.format(more=', "AWAY"'))
    wanted = {f"{ROOT}.1", f"{ROOT}.2"}
    with node:
        # The latest two of this patient and body part, not too old, though a peer is away.
        assert settled(node, 2) == wanted
        assert stored(node, f"{ROOT}.1") == {each.uid for each in LATEST}
        assert {each["reason"] for each in listed(node)} == {"prefetch priors"}
        node.write(peer + away + rule.format(more=""))
        node.reload()
        file = tmp_path / "state" / "prefetched.json"
        wait_until(file.exists, "it is kept that the patient was prepared")
        assert json.loads(file.read_text()) == ["priors\\P1\\1.2.826.0.1.3680043.9.6.1"]
        node.ask("delete", level="study", uid=f"{ROOT}.1", force=True)
        # Once for each procedure: not again after a restart either.
        node.kill()
        node.start()
        time.sleep(1)
        assert len(listed(node)) == 2 and not stored(node, f"{ROOT}.1")


def test_ic_36_studies_of_some_days_are_retrieved_once_and_a_peer_that_is_away_stops_nobody(
    tmp_path: Path,
) -> None:
    today, other, test = study(11, 0), study(12, 1), study(13, 0, "TEST7")
    with Orthanc(tmp_path / "far", modalities={"GANTRY": ("127.0.0.1", 1)}) as orthanc:
        store(orthanc.port, [*today, *other, *test, *study(14, 9)], window=1, called="ORTHANC")
        node = NodeProcess(
            tmp_path / "near",
            source("AWAY", free_port(), '"query", "get"')
            + source("FAR", orthanc.port, '"query", "get"', title="ORTHANC")
            + '[[precache]]\nname = "days"\npeer = ["AWAY", "FAR"]\nevery = "5 s"\nskip = ["TEST*"]'
            + "\ndays_before = 3\n",
        )
        with node:
            assert settled(node, 2) == {f"{ROOT}.11", f"{ROOT}.12"}
            assert stored(node, f"{ROOT}.11") == {each.uid for each in today}
            assert node.log.count("studies not looked for") == 1
            # It has grown: what is new comes, and nothing else does.
            more = Made(f"{ROOT}.11.3", f"{ROOT}.11", more=today[0].more)
            store(orthanc.port, [more], window=1, called="ORTHANC")
            node.reload()
            settled(node, 3)
            assert stored(node, f"{ROOT}.11") == {*(each.uid for each in today), more.uid}
            node.reload()
            time.sleep(0.5)
            assert len(listed(node)) == 3


def test_ic_26_one_search_of_several_archives_is_one_list_with_all_sources(tmp_path: Path) -> None:
    one = DcmtkQueryRetrieveScp(tmp_path / "one", ae_title="ONE")
    two = DcmtkQueryRetrieveScp(tmp_path / "two", ae_title="TWO")
    with one, two:
        store(one.port, [*LATEST, *BEFORE], window=1, called="ONE")
        store(two.port, [*LATEST, *OLD, *STRANGER], window=1, called="TWO")
        node = NodeProcess(
            tmp_path / "near",
            source("ONE", one.port, '"query"')
            + source("TWO", two.port, '"query"')
            + source("AWAY", free_port(), '"query"')
            + source("SENDS", free_port(), '"storage"'),
        )
        with node:
            control = ["--control", str(node.control)]
            said = gantry("search", "PatientID=P1", "--json", *control)
            found = json.loads(said.output.splitlines()[0])
            assert said.returncode == 1 and list(found["faults"]) == ["AWAY"]
            sources = {
                each["values"]["0020000D"]["Value"][0]: each["sources"] for each in found["answers"]
            }
            assert sources == {
                f"{ROOT}.1": ["ONE", "TWO"],
                f"{ROOT}.2": ["ONE"],
                f"{ROOT}.3": ["TWO"],
            }
            said = gantry("search", "PatientID=P1", "--from", "TWO", *control)
            assert f"{ROOT}.3" in said.check().output and f"{ROOT}.2" not in said.output
            said = gantry("search", "PatientID=P1", "--from", "TWO", "--most", "1", *control)
            assert "there is more" in said.output
            keys = [f"StudyInstanceUID={ROOT}.1", "--level", "series", "--from", "ONE"]
            assert f"{ROOT}.1.1" in gantry("search", *keys, *control).check().output
            assert gantry("search", "--from", "SENDS", *control).returncode != 0
