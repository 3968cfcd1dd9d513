"""Ports that the service manager has opened, handed over by systemd's own program."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.node.running import ENVIRONMENT, ROOT, NodeProcess
from tests.peers.dcmtk import echoscu
from tests.peers.process import free_port, wait_until
from tests.peers.programs import program
from tests.peers.raw_pdu import associate_request, proposed_context
from tests.peers.tls_authority import TlsAuthority

ECHO = proposed_context(1, "1.2.840.10008.1.1", "1.2.840.10008.1.2")
ACCEPTED = 2


class ActivatedNode(NodeProcess):
    """A node that systemd-socket-activate starts when somebody calls."""

    def __init__(
        self, folder: Path, entities: str, *words: str, options: Sequence[str] = ()
    ) -> None:
        self._words, self._entities, self._options = words, entities, options
        super().__init__(folder)

    def write(self, more: str) -> None:
        self.configuration.write_text(
            f'profile = "gateway"\n[node]\nstate = "{self.folder}/state"\n'
            f'control = "{self.control}"\n{self._entities}{more}'
        )

    def command(self) -> list[str | Path]:
        return [
            *(program("systemd", "systemd-socket-activate"), *self._words, *self._options),
            *("-E", f"PYTHONPATH={ROOT}"),
        ]

    def launch(self) -> None:
        node = [sys.executable, *self.program, "run", "--config", self.configuration]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.command(), *node],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=ENVIRONMENT,
                start_new_session=True,
                pass_fds=self.descriptors(),
            )

    def descriptors(self) -> Sequence[int]:
        return ()

    def launch_and_listen(self) -> None:
        self.launch()
        wait_until(lambda: self.log.count("Listening on") == len(self._words), "systemd listens")

    def start(self) -> NodeProcess:
        """It is there when somebody calls; here that is a connection that says nothing."""
        try:
            self.launch_and_listen()
            host, _, port = self._words[0].partition("=")[2].rpartition(":")
            with socket.create_connection((host.strip("[]"), int(port))):
                return self.wait_until_ready()
        except BaseException:
            self.kill()
            raise


class RestartedNode(ActivatedNode):
    """One with a socket of ours, which outlives it as systemd's do."""

    def __init__(self, folder: Path, entities: str, end: socket.socket) -> None:
        self._end = end
        super().__init__(folder, entities)

    def command(self) -> list[str | Path]:
        script = (
            f"import os, sys; os.dup2({self._end.fileno()}, 3, inheritable=True);"
            "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()));"
            "os.execv(sys.argv[1], sys.argv[1:])"
        )
        return [sys.executable, "-c", script]

    def descriptors(self) -> Sequence[int]:
        return (self._end.fileno(),)


def entity(
    port: int, *keys: str, name: str = "GANTRY", addresses: str = "127.0.0.1", networks: str = "[]"
) -> str:
    service = "" if name == "GANTRY" else '[[entity.service]]\nname = "verification"\n'
    return (
        f'[[entity]]\nname = "{name}"\nport = {port}\naddresses = ["{addresses}"]\n'
        + "".join(f"{each}\n" for each in keys)
        + f'[entity.accept]\ncalling = "any"\nnetworks = {networks}\n{service}'
    )


def echo(port: int, *words: str | Path, called: str = "GANTRY") -> bool:
    return echoscu(port, "-to", "5", *words, called=called).returncode == 0


def associates(host: str, port: int) -> bool:
    """Whether an association is accepted there."""
    try:
        with socket.create_connection((host, port), 10) as end:
            end.sendall(associate_request(ECHO))
            return end.recv(1) == bytes((ACCEPTED,))
    except ConnectionResetError:
        return False


def test_both_ports_come_from_systemd_and_another_is_bound_as_ever(tmp_path: Path) -> None:
    plain, secure, own = free_port(), free_port(), free_port()
    authority = TlsAuthority(tmp_path, "authority")
    credentials = authority.make("gantry")
    tls = (
        f'[entity.tls]\ncertificate = "{credentials.certificate}"\n'
        f'private_key = "{credentials.key}"\npeer_certificate = "none"\n'
    )
    entities = entity(plain, f"tls_port = {secure}") + tls + entity(own, name="OTHER")
    words = [f"--listen=127.0.0.1:{port}" for port in (plain, secure)]
    with ActivatedNode(tmp_path / "node", entities, *words, options=["--fdname=a:b"]) as node:
        for _ in range(2):
            assert echo(plain)
            assert echo(secure, "+tla", "+cf", authority.file)
            assert echo(own, called="OTHER")
            node.reload()
        assert node.log.count("socket taken over") == 2
        assert "no longer listening" not in node.log


def test_one_socket_is_for_all_addresses_of_both_versions(tmp_path: Path) -> None:
    """What systemd makes of a port alone; who calls by IPv4 has an address of IPv4."""
    port = free_port()
    node = ActivatedNode(
        tmp_path / "node",
        entity(port, addresses="*", networks='["127.0.0.0/8"]'),
        f"--listen=[::]:{port}",
    )
    with node:
        assert associates("127.0.0.1", port)
        assert not associates("::1", port)
        assert node.log.count("socket taken over") == 1


def test_an_address_is_known_in_all_its_spellings(tmp_path: Path) -> None:
    port = free_port()
    entities = entity(port, addresses="0:0::1")
    with ActivatedNode(tmp_path / "node", entities, f"--listen=[::1]:{port}") as node:
        assert associates("::1", port)
        assert "socket taken over" in node.log


def test_a_socket_that_nobody_wants_refuses_until_a_reload_wants_it(tmp_path: Path) -> None:
    port, other = free_port(), free_port()
    words = [f"--listen=127.0.0.1:{each}" for each in (port, other)]
    with ActivatedNode(tmp_path / "node", entity(port), *words) as node:
        assert "socket not wanted" in node.log and f"port={other}" in node.log
        for _ in range(2):
            assert not associates("127.0.0.1", other)
            node.write(entity(other, name="OTHER"))
            node.reload()
            assert echo(other, called="OTHER") and echo(port)
            node.write("")
            node.reload()
        assert not associates("127.0.0.1", other)


@pytest.mark.parametrize(
    ("listen", "datagram", "said"),
    [("{folder}/unix", False, "AF_UNIX"), ("127.0.0.1:{port}", True, "SOCK_DGRAM")],
)
def test_what_is_no_tcp_socket_is_closed_with_a_word(
    tmp_path: Path, listen: str, datagram: bool, said: str
) -> None:
    port, own = free_port(), free_port()
    where = listen.format(folder=tmp_path, port=port)
    options = ["--datagram"] if datagram else []
    node = ActivatedNode(tmp_path / "node", entity(own), f"--listen={where}", options=options)
    try:
        node.launch_and_listen()
        kind = socket.SOCK_DGRAM if datagram else socket.SOCK_STREAM
        family = socket.AF_INET if datagram else socket.AF_UNIX
        with socket.socket(family, kind) as end:
            end.connect(("127.0.0.1", port) if datagram else where)
            end.send(b"x")
            node.wait_until_ready()
        assert "of no use: closed" in node.log and said in node.log
        assert echo(own)
    finally:
        node.kill()


def test_who_calls_during_a_restart_is_served_by_the_next_node(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as end:
        port = end.getsockname()[1]
        node = RestartedNode(tmp_path / "node", entity(port), end)
        node.launch()
        try:
            assert echo(port)
            assert node.stop() == 0
            with socket.create_connection(("127.0.0.1", port)) as early:
                early.sendall(associate_request(ECHO))
                node.launch()
                assert early.recv(1) == bytes((ACCEPTED,)), node.log
        finally:
            node.kill()
