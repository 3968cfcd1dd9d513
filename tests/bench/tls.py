"""The TLS bench: C-STORE by TLS and in plain, ours beside DCMTK's; and what a handshake costs.

python -m tests.bench.tls                      about two minutes
python -m tests.bench.tls --scale 0.2 --repeat 3

Seconds of the processor count, of the one who is measured only: the clock tells on a quiet machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from agent.configuration.connection import Socket, Timers, Tls
from agent.loop import Loop
from agent.network.connection import open_stream
from agent.network.tls import client_context
from agent.network.tls_context import ProfileContext
from agent.network.tls_stream import TlsStream
from tests.bench.objects import KIB, Load, make_objects
from tests.peers.certificates import Certificates, Credentials, make_certificates
from tests.peers.dcmtk import DcmtkStoreScp, dcmtk_program
from tests.peers.memory import processor_seconds
from tests.peers.process import ChildProcess, free_port
from tests.peers.raw_pdu import associate_request, proposed_context, release_request

ROOT = Path(__file__).parents[2]
_GANTRY = [sys.executable, "-m", "agent.cli.main"]
_ENVIRONMENT = {"PYTHONPATH": str(ROOT), "TCP_NODELAY": "1"}
_ECHO = proposed_context(1, "1.2.840.10008.1.1", "1.2.840.10008.1.2")

# What one measurement gives: seconds of the processor, and by the clock.
Taken = tuple[float, float]


class Bench:
    def __init__(self, room: Path, certificates: Certificates) -> None:
        self._room = room
        self._certificates = certificates
        self._number = 0

    def _folder(self) -> Path:
        self._number += 1
        return self._room / str(self._number)

    def _ours(self, own: Credentials, secured: bool) -> list[str]:
        files = ("--ca", self._certificates.authority, "--certificate", own.certificate)
        return ["--tls", *map(str, files), "--key", str(own.key)] if secured else []

    def _theirs(self, own: Credentials, secured: bool) -> list[str]:
        return self._certificates.dcmtk_options(own) if secured else []

    @contextmanager
    def our_receiver(self, secured: bool) -> Iterator[tuple[int, int]]:
        """Port and process of `gantry listen`."""
        port, folder = free_port(), self._folder()
        folder.mkdir()
        words = ["listen", "--port", str(port), "--into", str(folder / "into"), "--no-sync"]
        words += self._ours(self._certificates.server, secured)
        with ChildProcess(
            [*_GANTRY, *words], log=folder / "log", folder=ROOT, environment=_ENVIRONMENT
        ) as child:
            child.wait_until_listening(port)
            yield port, child.pid

    @contextmanager
    def their_receiver(self, secured: bool) -> Iterator[tuple[int, int]]:
        """Port and process of storescp, which writes what comes as it comes (+B)."""
        options = [*self._theirs(self._certificates.server, secured), "-pdu", "131072"]
        scp = DcmtkStoreScp(self._folder(), *options, environment=_ENVIRONMENT)
        with scp:
            yield scp.port, scp.pid

    def our_sender(self, port: int, files: Path, secured: bool) -> list[str]:
        own = self._ours(self._certificates.client, secured)
        return [*_GANTRY, "send", f"127.0.0.1:{port}", str(files), *own]

    def their_sender(self, port: int, files: Path, secured: bool) -> list[str]:
        own = self._theirs(self._certificates.client, secured)
        words = ["-aec", "GANTRY", "-pdu", "131072", "+sd", *own, "127.0.0.1", str(port)]
        return [str(dcmtk_program("storescu")), *words, str(files)]

    def receive(self, receiver: Callable[..., object], files: Path, secured: bool) -> Taken:
        """storescu sends; the receiver is measured."""
        with receiver(secured) as (port, pid):  # type: ignore[attr-defined]
            _run(self.their_sender(port, files / "first", secured))
            before = processor_seconds(pid)
            _, clock = _run(self.their_sender(port, files / "all", secured))
            return processor_seconds(pid) - before, clock

    def send(self, sender: Callable[..., list[str]], files: Path, secured: bool) -> Taken:
        """storescp receives; the sender is measured, without its start."""
        with self.their_receiver(secured) as (port, _):
            start = _run(sender(port, files / "first", secured))
            whole = _run(sender(port, files / "all", secured))
        return whole[0] - start[0], whole[1] - start[1]


def _run(command: Sequence[str]) -> Taken:
    started = time.monotonic()
    child = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        env=dict(os.environ) | _ENVIRONMENT,
    )
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(command)}: status {child.returncode}")
    return usage.ru_utime + usage.ru_stime, time.monotonic() - started


def _middle(taken: list[Taken]) -> Taken:
    return statistics.median(one for one, _ in taken), statistics.median(two for _, two in taken)


def transfers(bench: Bench, loads: list[tuple[Load, Path]], repeat: int) -> None:
    print("| load | what | ours | DCMTK | ours / DCMTK | TLS / plain, ours | TLS / plain, DCMTK |")
    print("|---|---|---|---|---|---|---|")
    for load, files in loads:
        for what, measure, ways in (
            ("receive", bench.receive, (bench.our_receiver, bench.their_receiver)),
            ("send", bench.send, (bench.our_sender, bench.their_sender)),
        ):
            found: dict[tuple[int, bool], list[Taken]] = {}
            for _ in range(repeat):
                for side, way in enumerate(ways):
                    for secured in (True, False):
                        taken = measure(way, files, secured)
                        found.setdefault((side, secured), []).append(taken)
            middle = {key: _middle(each) for key, each in found.items()}
            ours, theirs = middle[0, True], middle[1, True]
            cells = (
                f"{ours[0]:.2f} s ({load.gigabytes * 1000 / ours[1]:.0f} MB/s)",
                f"{theirs[0]:.2f} s ({load.gigabytes * 1000 / theirs[1]:.0f} MB/s)",
                f"{ours[0] / theirs[0]:.2f}",
                f"{ours[0] / middle[0, False][0]:.2f}",
                f"{theirs[0] / middle[1, False][0]:.2f}",
            )
            print(f"| {load.name} | {what} | {' | '.join(cells)} |", flush=True)


def handshakes(bench: Bench, certificates: Certificates, count: int) -> None:
    """Associations without an operation, from this process to `gantry listen`, both measured."""
    own = certificates.client
    tls = Tls(
        certificate=str(own.certificate),
        private_key=str(own.key),
        trust=(str(certificates.authority),),
    )

    context = client_context(tls)
    assert isinstance(context, ProfileContext)

    async def associate(port: int) -> bool:
        stream = await open_stream([("127.0.0.1", port)], Timers(), Socket(), context, "", None)
        assert isinstance(stream, TlsStream)
        await stream.send([associate_request(_ECHO)])
        await stream.receive()
        await stream.send([release_request()])
        await stream.receive()
        stream.close()
        return stream.resumed

    async def many(port: int, resume: bool) -> None:
        for _ in range(count):
            if not resume:
                context.keep(("127.0.0.1", port, "127.0.0.1"), None)
            assert await associate(port) == resume

    print("\n| handshake, mutual, RSA 2048 | server | client |")
    print("|---|---|---|")
    for resume in (False, True):
        with bench.our_receiver(True) as (port, pid):
            Loop().run(associate(port))
            server, client = processor_seconds(pid), time.process_time()
            Loop().run(many(port, resume))
            server, client = processor_seconds(pid) - server, time.process_time() - client
        name = "resumed" if resume else "full"
        print(f"| {name} | {server / count * 1e3:.2f} ms | {client / count * 1e3:.2f} ms |")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0, help="part of the full loads")
    parser.add_argument("--repeat", type=int, default=3, help="(default %(default)s)")
    parser.add_argument("--memory", type=Path, default=Path("/dev/shm"), help="where files are")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.memory) as name:
        room = Path(name)
        certificates = make_certificates(room)
        loads = []
        for title, size, count in (("32 KiB", 32 * KIB, 1000), ("16 MiB", 16 << 20, 16)):
            load = Load(title, size, max(2, round(count * options.scale)))
            files = room / title.replace(" ", "-")
            make_objects(files / "all", load)
            make_objects(files / "first", Load("first", size, 1), first=10**6)
            loads.append((load, files))
        bench = Bench(room, certificates)
        transfers(bench, loads, options.repeat)
        handshakes(bench, certificates, max(20, round(300 * options.scale)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
