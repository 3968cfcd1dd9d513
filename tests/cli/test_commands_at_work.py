"""Every command as a person uses it: against a running node, DCMTK's programs and real files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from tests.cli_of import ROOT, gantry
from tests.node.running import NodeProcess, free_port, peer_table
from tests.peers.dcmtk import DcmtkStoreScp, storescu
from tests.peers.process import wait_until
from tests.peers.sample_files import data_set_bytes

CT = Path(str(get_testdata_file("CT_small.dcm")))
MR = Path(str(get_testdata_file("MR_small.dcm")))
CT_UID = "1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322"
CT_STUDY = "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    with NodeProcess(tmp_path / "node", peer_table("PACS", free_port())) as made:
        for path in (CT, MR):
            gantry("send", f"127.0.0.1:{made.port}", "--called", "GANTRY", path).check()
        yield made


def ask(node: NodeProcess, *words: str) -> str:
    return gantry(words[0], "--control", node.control, *words[1:]).check().output


def numbers(node: NodeProcess) -> list[str]:
    return [str(job["id"]) for job in json.loads(ask(node, "queue", "--json"))]


def test_status_says_what_there_is_and_why_nothing_is_delivered(node: NodeProcess) -> None:
    end = time.monotonic() + 10
    while "failing" not in (said := ask(node, "status")):
        assert time.monotonic() < end
        time.sleep(0.1)
    assert "2 instances in 2 studies" in said
    assert "to PACS: 2 waiting, 0 held, 0 delivered since start" in said
    assert "nothing listens there" in said
    read = json.loads(ask(node, "status", "--json"))
    assert read["archives"][0]["counts"]["instances"] == 2
    assert "gantry_queue_depth" in ask(node, "status", "--metrics")


def test_the_queue_is_listed_held_retried_dropped_paused_and_resumed(node: NodeProcess) -> None:
    jobs = json.loads(ask(node, "queue", "--json"))
    assert jobs[0]["sop_instance_uid"] == CT_UID
    first = str(jobs[0]["id"])
    ask(node, "queue", "pause", "PACS")
    assert node.queue("PACS")["paused"]
    assert "1 jobs: hold" in ask(node, "queue", "hold", first)
    listed = ask(node, "queue", "--state", "held")
    assert "held by a person" in listed
    assert CT_UID in listed
    assert "1 jobs: retry" in ask(node, "queue", "retry", first)
    assert "no jobs" in ask(node, "queue", "--state", "held")
    assert "1 jobs: drop" in ask(node, "queue", "drop", first)
    assert gantry("queue", "--control", node.control, "drop", "99999").returncode == 1
    ask(node, "queue", "resume", "PACS")
    assert not node.queue("PACS")["paused"]


def test_studies_are_listed_corrected_sent_again_and_deleted(node: NodeProcess) -> None:
    assert "CompressedSamples^CT1" in ask(node, "studies")
    assert "no studies" in ask(node, "studies", "--patient-id", "NOBODY")
    # A job that is being tried is not dropped.
    ask(node, "queue", "pause", "PACS")
    wait_until(
        lambda: not json.loads(ask(node, "queue", "--json", "--state", "claimed")),
        "none is being tried",
    )
    ask(
        node, "queue", "drop", *(str(job["id"]) for job in json.loads(ask(node, "queue", "--json")))
    )
    changed = ask(node, "studies", "--re-identify", CT_STUDY, "--value", "PatientID=0815")
    assert "1 objects changed" in changed
    (study,) = json.loads(ask(node, "studies", "--study", CT_STUDY, "--json"))
    assert study["patient_id"] == "0815"
    assert "1 jobs for PACS" in ask(node, "studies", "--send-again", CT_STUDY, "--to", "PACS")
    kept = gantry("studies", "--control", node.control, "--delete", CT_STUDY)
    assert "0 objects deleted, 1 kept" in kept.output
    ask(
        node, "queue", "drop", *(str(job["id"]) for job in json.loads(ask(node, "queue", "--json")))
    )
    assert "1 objects deleted" in ask(node, "studies", "--delete", CT_STUDY)
    told = ask(node, "studies", "--corrections")
    assert [word in told for word in ("re-identify", "send again", "delete")] == [True] * 3
    wrong = gantry("studies", "--control", node.control, "--re-identify", CT_STUDY, "--value", "x")
    assert wrong.returncode == 2
    ask(node, "queue", "resume", "PACS")


def test_without_a_node_each_command_says_so(tmp_path: Path) -> None:
    for command in ("status", "queue", "studies", "capture"):
        done = gantry(command, "--control", tmp_path / "none")
        assert done.returncode == 3
        assert "no node answers" in done.output


def test_send_passes_over_what_is_no_object_and_says_what_the_peer_said(
    tmp_path: Path, dcmtk_storescp: DcmtkStoreScp
) -> None:
    folder = tmp_path / "files"
    (folder / "inner").mkdir(parents=True)
    (folder / "ct.dcm").write_bytes(CT.read_bytes())
    (folder / "inner" / "mr").write_bytes(MR.read_bytes())
    (folder / "notes.txt").write_text("nothing that anybody would take for an object " * 9)
    where = f"127.0.0.1:{dcmtk_storescp.port}"
    done = gantry("send", where, folder).check()
    assert "2 sent, 0 failed, 1 passed over" in done.output
    assert {data_set_bytes(each) for each in dcmtk_storescp.received()} == {
        data_set_bytes(CT),
        data_set_bytes(MR),
    }
    alone = gantry("send", where, folder / "notes.txt")
    assert alone.returncode == 1
    lines = gantry("send", "--json", where, folder / "ct.dcm").output.splitlines()
    assert json.loads(lines[0])["status"] == 0
    assert gantry("send", f"127.0.0.1:{free_port()}", folder).returncode == 3


@pytest.mark.parametrize("sync", [(), ("--no-sync",)])
def test_listen_keeps_what_comes_under_its_uid_and_ends_in_order(
    tmp_path: Path, sync: tuple[str, ...]
) -> None:
    port, folder = free_port(), tmp_path / "received"
    words = ["listen", "--port", str(port), "--into", str(folder), *sync]
    process = subprocess.Popen(
        [sys.executable, "-m", "agent.cli.main", *words],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert process.stdout is not None
        assert "listening on port" in process.stdout.readline()
        storescu(port, MR).check()
        storescu(port, MR).check()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    finally:
        process.kill()
    names = sorted(each.name for each in folder.iterdir())
    assert len(names) == 2
    assert names[1].removesuffix(".dcm").startswith(names[0].removesuffix(".dcm").split("-")[0])


def test_dump_shows_values_as_text_and_json_and_refuses_what_is_no_object(tmp_path: Path) -> None:
    said = gantry("dump", CT).check().output
    assert "(0010,0010) PN Patient's Name [22] = CompressedSamples^CT1" in said
    lines = gantry("dump", "--json", CT).check().output.splitlines()
    assert all(json.loads(line) for line in lines)
    (tmp_path / "x").write_text("no object at all, but long enough to be looked into" * 9)
    done = gantry("dump", tmp_path / "x")
    assert done.returncode == 1
    assert "not a DICOM file" in done.output


def test_config_begins_shows_and_checks_a_configuration(tmp_path: Path) -> None:
    first = gantry("config", "init", "--profile", "gateway").check().output
    path = tmp_path / "gantry.toml"
    path.write_text(first)
    checked = gantry("config", "check", "--config", path).check()
    assert "the configuration is good" in checked.output
    assert "port = 11112" in gantry("config", "show", "--config", path).check().output
    path.write_text('[[entity]]\nname = "A"\nporrt = 1\n[limits]\nassociations = -1\n')
    wrong = gantry("config", "check", "--config", path)
    assert wrong.returncode == 2
    assert "porrt" in wrong.output
    assert "associations" in wrong.output


def test_the_conformance_statement_of_each_profile_names_what_it_negotiates() -> None:
    gateway = gantry("conformance", "gateway").check().output
    assert "1.2.840.10008.5.1.4.1.1.2" in gateway
    assert "1.2.840.10008.1.1" in gateway
    assert gantry("conformance", "capture-station").check().output != gateway
    assert gantry("conformance", "nobody").returncode == 2


def test_the_doctor_says_what_is_wrong_and_makes_a_damaged_index_anew(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path / "node")
    with node:
        gantry("send", f"127.0.0.1:{node.port}", "--called", "GANTRY", CT, MR).check()
        assert node.stop() == 0
    healthy = gantry("doctor", "--config", node.configuration)
    assert "archive" in healthy.output
    (index,) = (node.folder / "state").rglob("index.sqlite")
    content = bytearray(index.read_bytes())
    content[:4096] = os.urandom(4096)
    index.write_bytes(content)
    for each in index.parent.glob("index.sqlite-*"):
        each.unlink()
    sick = gantry("doctor", "--config", node.configuration)
    assert sick.returncode != 0
    gantry("doctor", "--config", node.configuration, "--rebuild-index").check()
    with node:
        assert node.ask("status")["archives"][0]["counts"]["instances"] == 2
