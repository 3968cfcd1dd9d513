"""Who may use what of a running node, seen from outside; and what a reload opens and closes."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from agent.cli import node_process
from agent.cli.exit_status import ExitStatus
from agent.errors import ConfigurationError, LocalError, StorageError
from agent.loop.workers import WorkerDied
from tests.node.running import ENVIRONMENT, NodeProcess, free_port
from tests.peers.dcmtk import DcmtkStoreScp
from tests.peers.network_namespace import NetworkNamespace, network_namespace
from tests.peers.process import Server
from tests.peers.programs import Completed, program, run

CT = Path(str(get_testdata_file("CT_small.dcm")))


def echo(port: int, *more: str) -> Completed:
    return run([program("dcmtk", "echoscu"), "-v", "-to", "5", *more, "127.0.0.1", str(port)])


def store(port: int, *more: str, file: Path = CT) -> Completed:
    return run(
        [program("dcmtk", "storescu"), "-v", "-to", "5", *more, "127.0.0.1", str(port), file]
    )


def until(holds: Callable[[], bool], seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_service_may_be_open_to_fewer_callers_than_its_entity(tmp_path: Path) -> None:
    more = (
        '[[entity.service]]\nname = "storage"\n[entity.service.accept]\ncalling = "titles"\n'
        'calling_titles = ["CT1"]\n'
    )
    with NodeProcess(tmp_path / "node", more) as node:
        echo(node.port, "-aet", "ANYBODY", "-aec", "GANTRY").check()
        refused = store(node.port, "-aet", "ANYBODY", "-aec", "GANTRY")
        assert "No Acceptable Presentation Contexts" in refused.output
        store(node.port, "-aet", "CT1", "-aec", "GANTRY").check()


def test_cd_07_associations_of_one_service_are_limited_and_the_refusal_is_transient(
    tmp_path: Path,
) -> None:
    from pynetdicom import AE
    from pynetdicom.sop_class import CTImageStorage, Verification

    more = '[[entity.service]]\nname = "storage"\nassociations = 1\n'
    with NodeProcess(tmp_path / "node", more) as node:
        entity = AE("SCU")
        entity.add_requested_context(CTImageStorage)
        first = entity.associate("127.0.0.1", node.port, ae_title="GANTRY")
        assert first.is_established
        second = entity.associate("127.0.0.1", node.port, ae_title="GANTRY")
        assert second.is_rejected
        answer = second.acceptor.primitive
        # PS3.8 Table 9-21: rejected-transient, presentation related, local limit exceeded.
        assert (answer.result, answer.result_source, answer.diagnostic) == (2, 3, 2)
        other = AE("SCU")
        other.add_requested_context(Verification)
        echoed = other.associate("127.0.0.1", node.port, ae_title="GANTRY")
        assert echoed.send_c_echo().Status == 0
        echoed.release()
        first.release()
        until(lambda: not node.ask("status")["associations"])
        again = entity.associate("127.0.0.1", node.port, ae_title="GANTRY")
        assert again.is_established
        again.release()


def test_a_reload_opens_and_closes_ports_and_associations_go_on(tmp_path: Path) -> None:
    from pynetdicom import AE
    from pynetdicom.sop_class import Verification

    other = free_port()
    second = (
        f'[[entity]]\nname = "SECOND"\nport = {other}\naddresses = ["127.0.0.1"]\n'
        '[entity.accept]\ncalling = "any"\n[[entity.service]]\nname = "verification"\n'
    )
    with NodeProcess(tmp_path / "node") as node:
        assert echo(other, "-aec", "SECOND").returncode != 0
        node.write(second)
        node.ask("reload")
        echo(other, "-aec", "SECOND").check()
        entity = AE("SCU")
        entity.add_requested_context(Verification)
        association = entity.associate("127.0.0.1", other, ae_title="SECOND")
        node.write("")
        node.ask("reload")
        assert echo(other, "-aec", "SECOND").returncode != 0
        assert association.send_c_echo().Status == 0
        association.release()
        echo(node.port, "-aec", "GANTRY").check()


def test_a_port_that_is_taken_at_a_reload_is_told_and_all_else_goes_on(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, NodeProcess(tmp_path / "node") as node:
        port = taken.getsockname()[1]
        node.write(
            f'[[entity]]\nname = "SECOND"\nport = {port}\naddresses = ["127.0.0.1"]\n'
            '[[entity.service]]\nname = "verification"\n'
        )
        node.ask("reload")
        assert "cannot listen" in node.log
        echo(node.port, "-aec", "GANTRY").check()


class NodeInNamespace(NodeProcess):
    """A node in a network of its own."""

    def __init__(self, folder: Path, more: str, namespace: NetworkNamespace) -> None:
        super().__init__(folder, more)
        self._namespace = namespace

    @property
    def command(self) -> tuple[str, ...]:
        return tuple(self._namespace.command(super().command))


@pytest.mark.parametrize("address", ["192.0.2.20", "2001:db8::20"])
def test_an_address_that_comes_with_the_cable_keeps_nobody_else_waiting(
    tmp_path: Path, address: str
) -> None:
    """A box between two networks: one of them is not there when it is switched on."""
    hospital = (
        f'[[entity]]\nname = "HOSPITAL"\nport = 11113\naddresses = ["{address}"]\n'
        '[entity.accept]\ncalling = "any"\n[[entity.service]]\nname = "verification"\n'
    )
    with network_namespace("comes") as network:

        def echoed(place: str, called: str) -> bool:
            words = [sys.executable, "-m", "agent.cli.main", "echo", place, "--called", called]
            return run(network.command(words), environment=ENVIRONMENT).returncode == 0

        place = f"[{address}]:11113" if ":" in address else f"{address}:11113"
        with NodeInNamespace(tmp_path / "node", hospital, network) as node:
            assert f"address not there yet address={address} port=11113" in node.log
            assert echoed(f"127.0.0.1:{node.port}", "GANTRY")
            assert not echoed(place, "HOSPITAL")
            plug = ["ip", "address", "add", address, "dev", "lo"]
            run(network.command(plug), seconds=10.0).check()
            until(lambda: echoed(place, "HOSPITAL"))


def test_a_port_that_is_taken_at_the_start_ends_the_node_so_that_systemd_tries_again(
    tmp_path: Path,
) -> None:
    node = NodeProcess(tmp_path / "node")
    with socket.create_server(("127.0.0.1", node.port)):
        node.launch()
        assert node.process is not None
        assert node.process.wait(20) == ExitStatus.REFUSED
    assert f"GANTRY cannot listen on 127.0.0.1 port {node.port}" in node.log
    with node:
        assert "ready" in node.log


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConfigurationError("wrong"), ExitStatus.WRONG_USAGE),
        (LocalError("not now"), ExitStatus.REFUSED),
        (WorkerDied("the worker configuration died"), ExitStatus.REFUSED),
        (StorageError("away"), ExitStatus.REFUSED),
        (MemoryError(), ExitStatus.REFUSED),
    ],
)
def test_only_what_a_person_has_to_change_keeps_systemd_from_starting_the_node_again(
    monkeypatch: pytest.MonkeyPatch, error: Exception, status: ExitStatus
) -> None:
    def fail(words: object) -> int:
        raise error

    monkeypatch.setattr(node_process, "_run", fail)
    assert node_process.main([]) == status


def _onward(port: int) -> str:
    return (
        '[entity.storage]\nonward = "SERVER"\n'
        f'[[peer]]\nname = "SERVER"\naddresses = ["127.0.0.1:{port}"]\n'
        '[peer.timers]\nconnect = "1 s"\nassociation = "2 s"\n'
    )


def test_rv_05_an_object_is_promised_only_when_the_onward_server_has_it(
    tmp_path: Path, start_peer: Callable[[Server], DcmtkStoreScp]
) -> None:
    port = free_port()
    with NodeProcess(tmp_path / "node", _onward(port)) as node:
        silent = store(node.port, "-aec", "GANTRY", "-d")
        assert "0xc003" in silent.output.lower()
        assert "Server not responding" in silent.output
        assert node.ask("status")["archives"][0]["counts"]["instances"] == 0
        server = start_peer(DcmtkStoreScp(tmp_path / "server", port=port))
        store(node.port, "-aec", "GANTRY").check()
        assert len(list(server.received_folder.iterdir())) == 1
        assert node.ask("status")["archives"][0]["counts"]["instances"] == 1


def test_rv_05_a_server_that_refuses_us_is_told_to_the_sender(tmp_path: Path) -> None:
    with (
        NodeProcess(tmp_path / "server", accept='calling = "peers"') as server,
        NodeProcess(tmp_path / "node", _onward(server.port)) as node,
    ):
        refused = store(node.port, "-aec", "GANTRY", "-d")
        assert "0xc004" in refused.output.lower()
        assert node.ask("status")["archives"][0]["counts"]["instances"] == 0


def test_the_figures_tell_of_queue_disk_clock_and_loop(tmp_path: Path) -> None:
    port = free_port()
    more = (
        f'[[peer]]\nname = "PACS"\naddresses = ["127.0.0.1:{port}"]\n'
        '[[route]]\nname = "all"\ndeliver = ["PACS"]\n'
        f'[metrics]\nfile = "{tmp_path}/gantry.prom"\ninterval = "1 s"\n'
    )
    with NodeProcess(tmp_path / "node", more) as node:
        store(node.port, "-aec", "GANTRY").check()
        until(lambda: 'state="waiting"} 1\n' in node.ask("metrics"))
        said = node.ask("metrics")
        for line in (
            "# TYPE gantry_queue_depth gauge",
            'gantry_queue_oldest_seconds{archive="main",peer="PACS"}',
            'gantry_disk_free_bytes{archive="main"}',
            'gantry_queue_last_failure_seconds{archive="main",peer="PACS"}',
            'gantry_loop_lag_seconds{quantile="0.999"}',
            "gantry_clock_set ",
            'gantry_associations_total{role="acceptor",outcome="established"} 1',
        ):
            assert line in said, said
        until(lambda: "gantry_queue_depth" in (tmp_path / "gantry.prom").read_text())


def test_a_node_takes_the_descriptors_that_it_may_have(tmp_path: Path) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, hard), hard))
    try:
        with NodeProcess(tmp_path / "node") as node:
            assert node.process is not None
            limits = Path(f"/proc/{node.process.pid}/limits").read_text()
            (row,) = [line for line in limits.splitlines() if line.startswith("Max open files")]
            assert int(row.split()[3]) == min(hard, 65536)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
