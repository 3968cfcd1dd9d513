"""Who sends and who receives: the programs of both sides, each as it is compared.

A receiver really stores: storescp without `--ignore`, all into folders of the same file system.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.peers.dcmtk import dcmtk_program
from tests.peers.orthanc import Orthanc
from tests.peers.process import Server

ROOT = Path(__file__).parent.parent.parent
PATH_OF_OURS = {"PYTHONPATH": str(ROOT)}
# DCMTK's network code reads it when it makes a socket; Orthanc has the same network code.
NO_NAGLE = {"TCP_NODELAY": "1"}
LONG_PDU = ("-pdu", "131072")
# The Python that runs our side: that of the bench, or the one that the machine will have.
_GANTRY = (
    os.environ.get("GANTRY_BENCH_PYTHON", sys.executable),
    *("-P", "-m", "agent.cli.main"),
)
_PYNETDICOM = (
    *(sys.executable, "-P", "-W", "ignore"),
    str(Path(__file__).parent / "pynetdicom_best.py"),
)


class Receiver(Server):
    """A server with a folder for its objects; `words` makes its command line."""

    def __init__(
        self,
        folder: Path,
        words: Callable[[int, Path], Sequence[str | Path]],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        folder.mkdir(parents=True)
        self.into = folder / "objects"
        self.into.mkdir()
        self.control: Path | None = None
        self._words = words
        super().__init__(
            log=folder / "log", folder=ROOT, environment=PATH_OF_OURS | dict(environment or {})
        )

    def command(self) -> Sequence[str | Path]:
        return self._words(self.port, self.into)


class QuietOrthanc(Orthanc):
    """Orthanc with the settings that it comes with (SQLite, SyncStorageArea), without a log.

    Its network code is DCMTK's, and without `TCP_NODELAY` each of its answers takes 40 ms."""

    control: Path | None = None

    def __init__(
        self, folder: Path, modalities: Mapping[str, tuple[str, int]] | None = None
    ) -> None:
        super().__init__(folder, modalities=modalities)
        self._environment |= NO_NAGLE

    def command(self) -> Sequence[str | Path]:
        return [word for word in super().command() if word != "--verbose"]


class Node(Receiver):
    """`gantry run` with the gateway profile: every object synced and in the index."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, self._run)
        self._folder_of_node = folder
        self.control = folder / "control"

    def _run(self, port: int, into: Path) -> Sequence[str | Path]:
        configuration = self._folder_of_node / "gantry.toml"
        configuration.write_text(
            f'profile = "gateway"\n[node]\nstate = "{into}"\ncontrol = "{self.control}"\n'
            f'[[entity]]\nname = "GANTRY"\nport = {port}\naddresses = ["127.0.0.1"]\n'
            '[entity.accept]\ncalling = "any"\n'
        )
        return [*_GANTRY, "run", "--config", configuration]


StartReceiver = Callable[[Path], "Receiver | QuietOrthanc"]


def storescp(*options: str, environment: Mapping[str, str] | None = None) -> StartReceiver:
    """DCMTK's storescp; it writes as it does unless an option says otherwise."""

    def words(port: int, into: Path) -> Sequence[str | Path]:
        return [dcmtk_program("storescp"), *options, "-od", into, str(port)]

    return lambda folder: Receiver(folder, words, environment)


def listen(*options: str) -> StartReceiver:
    """`gantry listen`."""

    def words(port: int, into: Path) -> Sequence[str | Path]:
        return [*_GANTRY, "listen", "--port", str(port), "--into", into, *options]

    return lambda folder: Receiver(folder, words)


def pynetdicom_scp() -> StartReceiver:
    """pynetdicom at its best options."""
    return lambda folder: Receiver(
        folder, lambda port, into: [*_PYNETDICOM, "receive", str(port), into]
    )


@dataclass(frozen=True, slots=True)
class Sender:
    """A program that sends all files of a folder on one association, and ends."""

    words: Callable[[int, Path], Sequence[str | Path]]
    environment: Mapping[str, str] = field(default_factory=dict)


def storescu(*options: str, environment: Mapping[str, str] | None = None) -> Sender:
    """DCMTK's storescu."""

    def words(port: int, files: Path) -> Sequence[str | Path]:
        program = dcmtk_program("storescu")
        return [program, *options, "-aec", "GANTRY", "+sd", "127.0.0.1", str(port), files]

    return Sender(words, environment or {})


GANTRY_SEND = Sender(
    lambda port, files: [*_GANTRY, "send", f"127.0.0.1:{port}", "--called", "GANTRY", files],
    PATH_OF_OURS,
)
PYNETDICOM_SCU = Sender(lambda port, files: [*_PYNETDICOM, "send", "127.0.0.1", str(port), files])

SENDERS: dict[str, Sender] = {
    "storescu": storescu(),
    "storescu tuned": storescu(*LONG_PDU, environment=NO_NAGLE),
    "gantry send": GANTRY_SEND,
    "pynetdicom": PYNETDICOM_SCU,
}

RECEIVERS: dict[str, StartReceiver] = {
    "storescp": storescp(),
    "storescp tuned": storescp(*LONG_PDU, environment=NO_NAGLE),
    "storescp tuned +B": storescp(*LONG_PDU, "+B", environment=NO_NAGLE),
    "pynetdicom": pynetdicom_scp(),
    "gantry listen --no-sync": listen("--no-sync"),
    "gantry listen": listen(),
    "gantry run": Node,
    "orthanc": lambda folder: QuietOrthanc(folder / "orthanc"),
}
