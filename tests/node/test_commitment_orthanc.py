"""Storage commitment with Orthanc, in both roles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.checklists.made import CT, instance_uid, store_all
from tests.cli_of import gantry
from tests.node.running import NodeProcess, free_port
from tests.node.test_commitment import CommittingArchive, box, provider, until
from tests.peers.orthanc import Orthanc
from tests.peers.sample_files import samples


def box_at_orthanc(folder: Path, start_peer: Any) -> tuple[NodeProcess, Orthanc]:
    node_port = free_port()
    orthanc = start_peer(
        Orthanc(folder / "orthanc", modalities={"GANTRY": ("127.0.0.1", node_port)})
    )
    node = box(folder / "node", CommittingArchive(orthanc.port, 0))
    text = node.configuration.read_text().replace(f"port = {node.port}", f"port = {node_port}")
    node.configuration.write_text(text.replace('name = "FAR"', 'name = "FAR"\ntitle = "ORTHANC"'))
    node.port = node_port
    return node, orthanc


def test_orthanc_commits_to_what_it_was_sent(tmp_path: Path, start_peer: Any) -> None:
    node, _ = box_at_orthanc(tmp_path, start_peer)
    with node:
        assert store_all(node.port, (1, CT), (2, CT)) == [0, 0]
        until(lambda: node.log.count("commitment answered") == 2, lambda: node.log)
        assert "failed=0" in node.log
        until(lambda: not node.ask("queue")["items"], lambda: node.log)


def test_ps34_106_what_orthanc_lost_is_sent_to_it_again(tmp_path: Path, start_peer: Any) -> None:
    node, orthanc = box_at_orthanc(tmp_path, start_peer)
    text = node.configuration.read_text()
    node.configuration.write_text(text.replace('gather = "0.5 s"', 'gather = "2 s"'))
    with node:
        assert store_all(node.port, (1, CT)) == [0]
        until(orthanc.instances, lambda: node.log)
        (lost,) = orthanc.instances()
        orthanc.request(f"/instances/{lost}", method="DELETE")
        until(lambda: node.log.count("commitment answered") == 2, lambda: node.log)
        assert "failed=1" in node.log
        until(lambda: not node.ask("queue")["items"], lambda: node.log)
        assert orthanc.sop_instance_uids() == {instance_uid(1)}


def test_cd_29_mx_37_orthanc_asks_us_for_what_we_keep_and_what_we_do_not(
    tmp_path: Path, start_peer: Any
) -> None:
    listen = free_port()
    with provider(tmp_path / "node", listen) as node:
        orthanc = start_peer(
            Orthanc(
                tmp_path / "orthanc",
                ae_title="ASKER",
                port=listen,
                modalities={"GANTRY": ("127.0.0.1", node.port)},
            )
        )

        def asked(*references: tuple[str, str]) -> Any:
            begun = orthanc.rest(
                "/modalities/GANTRY/storage-commitment",
                method="POST",
                body={"DicomInstances": references},
            )

            def report() -> Any:
                found = orthanc.rest(begun["Path"])
                return found if found["Status"] != "Pending" else None

            until(report, lambda: node.log)
            return report()

        assert store_all(node.port, (1, CT)) == [0]
        whole = asked((CT, instance_uid(1)))
        assert whole["Status"] == "Success"
        assert whole["RemoteAET"] == "GANTRY"
        assert [each["SOPInstanceUID"] for each in whole["Success"]] == [instance_uid(1)]
        partly = asked((CT, instance_uid(1)), (CT, instance_uid(2)))
        assert partly["Status"] == "Failure"
        assert [each["SOPInstanceUID"] for each in partly["Success"]] == [instance_uid(1)]
        (failed,) = partly["Failures"]
        assert failed["SOPInstanceUID"] == instance_uid(2)
        print(failed)
        assert failed["FailureReason"] == 0x0112
        until(lambda: not node.ask("queue")["items"], lambda: node.log)


def test_our_command_asks_and_waits_for_the_answer(tmp_path: Path, start_peer: Any) -> None:
    port = free_port()
    orthanc = start_peer(Orthanc(tmp_path / "orthanc", modalities={"ASKER": ("127.0.0.1", port)}))
    sample = next(each for each in samples() if each.path.name == "CT_small.dcm").path
    other = next(each for each in samples() if each.path.name == "MR_small.dcm").path
    address = f"127.0.0.1:{orthanc.port}"
    assert gantry("send", address, sample, "--called", "ORTHANC").returncode == 0
    words = ("--called", "ORTHANC", "--calling", "ASKER", "--port", str(port), "--wait", "10")
    done = gantry("commit", address, sample, *words)
    assert done.returncode == 0, done.output
    assert "1 committed, 0 failed" in done.output
    partly = gantry("commit", address, sample, other, *words)
    assert partly.returncode == 1
    assert "1 committed, 1 failed" in partly.output
    assert "0112H" in partly.output
