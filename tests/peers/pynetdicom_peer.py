"""pynetdicom 3 (Python) in processes of its own: an SCP as a server, the SCU as calls."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.peers.process import Server, wait_until
from tests.peers.programs import Completed, run

_HERE = Path(__file__).parent
_RESPONSE = re.compile(r"^(?:echo|store) ([0-9A-F]{4})", re.MULTILINE)


def _script(name: str) -> list[str]:
    # -P: no folder of the checkout may shadow a module of the peer.
    return [sys.executable, "-P", "-W", "ignore", "-u", str(_HERE / name)]


class PynetdicomScp(Server):
    """Verification and all Storage classes (or `sop_classes`), in all transfer syntaxes
    (or `transfer_syntaxes`).

    `status` is what it answers to each C-STORE (A700, C000, B000 ...); a failure stores nothing.
    `sleep` seconds pass before each answer. `tls`: certificate, key, and the authority of those
    who may call.
    """

    def __init__(
        self,
        folder: Path,
        *,
        ae_title: str = "PYNETDICOM",
        port: int | None = None,
        maximum_length: int = 16382,
        status: int = 0,
        sleep: float = 0.0,
        require_called: bool = False,
        sop_classes: Sequence[str] = (),
        transfer_syntaxes: Sequence[str] = (),
        tls: Sequence[Path] = (),
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(log=folder / "pynetdicom_scp.log", port=port)
        self.ae_title = ae_title
        self.received_folder = folder / "received"
        self.received_folder.mkdir(exist_ok=True)
        self._options = [
            *("--ae-title", ae_title, "--maximum-length", str(maximum_length)),
            *("--status", f"{status:04X}", "--sleep", str(sleep)),
            *(["--require-called"] if require_called else []),
            *(word for uid in sop_classes for word in ("--sop-class", uid)),
            *(word for uid in transfer_syntaxes for word in ("--transfer-syntax", uid)),
            *(["--tls", *map(str, tls)] if tls else []),
        ]

    def command(self) -> Sequence[str | Path]:
        where = ["--port", str(self.port), "--folder", str(self.received_folder)]
        return [*_script("pynetdicom_scp.py"), *where, *self._options]

    def associations(self) -> int:
        """How many were established so far."""
        return self.log.read_text().count("association established")

    def received(self) -> list[Path]:
        """The Part 10 files written so far, by SOP Instance UID."""
        return sorted(self.received_folder.glob("*.dcm"))

    def wait_for_files(self, number: int, *, seconds: float = 20.0) -> list[Path]:
        """The files, once there are so many."""
        wait_until(
            lambda: len(self.received()) >= number, f"{number} files received", seconds=seconds
        )
        return self.received()


def pynetdicom_echo(
    port: int, *, called: str = "GANTRY", calling: str = "PYNETDICOM", seconds: float = 30.0
) -> Completed:
    """C-ECHO; status 0 only when a response came."""
    return _scu(port, (), called, calling, 16382, seconds)


def pynetdicom_store(
    port: int,
    *files: Path,
    called: str = "GANTRY",
    calling: str = "PYNETDICOM",
    maximum_length: int = 16382,
    seconds: float = 60.0,
    tls: Sequence[Path] = (),
) -> Completed:
    """C-STORE of files in the syntaxes that they have, on one association; `tls` as for the SCP."""
    return _scu(port, files, called, calling, maximum_length, seconds, tls)


def statuses(done: Completed) -> list[int]:
    """The statuses of the responses that a pynetdicom SCU got, in order."""
    return [int(word, 16) for word in _RESPONSE.findall(done.output)]


def _scu(
    port: int,
    files: Sequence[Path],
    called: str,
    calling: str,
    maximum_length: int,
    seconds: float,
    tls: Sequence[Path] = (),
) -> Completed:
    words = ["--port", str(port), "--called", called, "--calling", calling]
    words += ["--maximum-length", str(maximum_length)]
    words += ["--tls", *map(str, tls)] if tls else []
    words += map(str, files)
    return run([*_script("pynetdicom_scu.py"), *words], seconds=seconds)
