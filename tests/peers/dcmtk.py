"""DCMTK 3.6 (OFFIS, C++): its SCUs as calls, its SCPs as servers of a test.

with DcmtkStoreScp(tmp_path) as peer:
    storescu(peer.port, file, called="STORESCP").check()
    peer.received()
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.peers.process import Server, wait_until
from tests.peers.programs import Completed, program, run

_BANNER = re.compile(r"^\$dcmtk: (\S+) v(3\.6\.\d+)", re.MULTILINE)


@functools.cache
def dcmtk_program(name: str) -> Path:
    """The path of a DCMTK program; its banner proves that it is not a namesake."""
    path = program("dcmtk", name)
    banner = _BANNER.search(run([path, "--version"]).output)
    assert banner is not None and banner[1] == name, f"{path} is not DCMTK's {name}"
    return path


def dcmtk_version() -> str:
    """Such as `3.6.7`."""
    banner = _BANNER.search(run([dcmtk_program("storescu"), "--version"]).output)
    assert banner is not None
    return banner[2]


def run_dcmtk(
    name: str,
    *arguments: str | Path,
    seconds: float = 60.0,
    environment: Mapping[str, str] | None = None,
) -> Completed:
    """Run any DCMTK program to its end."""
    return run([dcmtk_program(name), *arguments], seconds=seconds, environment=environment)


def _as_scu(name: str, called: str, calling: str, options: Sequence[str | Path]) -> list[str]:
    return ["-v", "-aec", called, "-aet", calling, *map(str, options)]


def echoscu(
    port: int,
    *options: str | Path,
    host: str = "127.0.0.1",
    called: str = "GANTRY",
    calling: str = "ECHOSCU",
    seconds: float = 30.0,
) -> Completed:
    """C-ECHO; `check()` the result. Options: `-ppc 128` contexts, `--abort`, `--repeat N`."""
    words = _as_scu("echoscu", called, calling, options)
    return run_dcmtk("echoscu", *words, host, str(port), seconds=seconds)


def storescu(
    port: int,
    *files: str | Path,
    options: Sequence[str | Path] = (),
    host: str = "127.0.0.1",
    called: str = "GANTRY",
    calling: str = "STORESCU",
    seconds: float = 60.0,
    environment: Mapping[str, str] | None = None,
) -> Completed:
    """C-STORE of files; options such as `-xs` (lossless JPEG), `-xv` (JPEG 2000), `--abort`.

    storescu proposes uncompressed syntaxes unless an option names another, whatever the files have:
    `dcmsend` reads them first.
    """
    words = _as_scu("storescu", called, calling, options)
    return run_dcmtk(
        "storescu", *words, host, str(port), *files, seconds=seconds, environment=environment
    )


def dcmsend(
    port: int,
    *files: str | Path,
    options: Sequence[str] = ("--decompress-never", "--no-uid-checks"),
    host: str = "127.0.0.1",
    called: str = "GANTRY",
    calling: str = "DCMSEND",
    seconds: float = 60.0,
) -> Completed:
    """C-STORE of files in the transfer syntaxes that they have."""
    words = _as_scu("dcmsend", called, calling, options)
    return run_dcmtk("dcmsend", *words, host, str(port), *files, seconds=seconds)


def findscu(
    port: int,
    *keys: str,
    options: Sequence[str] = ("-S",),
    host: str = "127.0.0.1",
    called: str = "GANTRY",
    calling: str = "FINDSCU",
    seconds: float = 30.0,
) -> Completed:
    """C-FIND; keys as `PatientName=A*`; `-S` study root, `-P` patient root, `-W` worklist."""
    words = _as_scu("findscu", called, calling, options)
    for key in keys:
        words += ["-k", key]
    return run_dcmtk("findscu", *words, host, str(port), seconds=seconds)


def dcmdump(file: Path, *options: str) -> str:
    """The text dump of a file."""
    return run_dcmtk("dcmdump", "-q", *options, file).check().output


def dump2dcm(dump: str, into: Path) -> Path:
    """Make a file from a text dump (a worklist entry, for one)."""
    source = into.with_suffix(".dump")
    source.write_text(dump)
    run_dcmtk("dump2dcm", source, into).check()
    return into


class DcmtkStoreScp(Server):
    """storescp: accepts all transfer syntaxes and storage classes, writes into `folder`/received.

    It misbehaves on demand, by options: `--refuse` (rejects each association), `--abort-after` and
    `--abort-during` (a C-STORE), `--sleep-after`, `5`, `--sleep-during`, `5`, `--ignore` (stores
    nothing). `--fork` takes many associations at once. It does not check the called AE title.
    """

    def __init__(
        self,
        folder: Path,
        *options: str,
        ae_title: str = "STORESCP",
        port: int | None = None,
        transfer_syntaxes: Sequence[str] = ("+xa",),
        bit_preserving: bool = True,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(log=folder / "storescp.log", port=port, environment=environment)
        self.ae_title = ae_title
        self.received_folder = folder / "received"
        self.received_folder.mkdir(exist_ok=True)
        self._options = [*options, *transfer_syntaxes]
        if bit_preserving:
            self._options.append("+B")

    def command(self) -> Sequence[str | Path]:
        return [
            dcmtk_program("storescp"),
            "-v",
            "-aet",
            self.ae_title,
            "-od",
            self.received_folder,
            *self._options,
            str(self.port),
        ]

    def received(self) -> list[Path]:
        """The files written so far, by name (`MODALITY.SOPInstanceUID`)."""
        return sorted(path for path in self.received_folder.iterdir() if path.is_file())

    def wait_for_files(self, number: int, *, seconds: float = 20.0) -> list[Path]:
        """The files, once there are so many."""
        wait_until(
            lambda: len(self.received()) >= number, f"{number} files received", seconds=seconds
        )
        return self.received()


class DcmtkQueryRetrieveScp(Server):
    """dcmqrscp: an archive that answers C-STORE, C-FIND, C-MOVE and C-GET.

    `move_destinations` maps AE titles to (host, port).
    """

    def __init__(
        self,
        folder: Path,
        *,
        ae_title: str = "QRSCP",
        port: int | None = None,
        move_destinations: Mapping[str, tuple[str, int]] | None = None,
        options: Sequence[str] = (),
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(log=folder / "dcmqrscp.log", port=port)
        self.ae_title = ae_title
        self._destinations = dict(move_destinations or {})
        self._options = options
        self._configuration = folder / "dcmqrscp.cfg"
        self.database = folder / "database"
        self.database.mkdir(exist_ok=True)

    def command(self) -> Sequence[str | Path]:
        hosts = [
            f"{name.lower()} = ({name}, {host}, {port})"
            for name, (host, port) in self._destinations.items()
        ]
        self._configuration.write_text(
            "\n".join(
                [
                    f"NetworkTCPPort = {self.port}",
                    "MaxPDUSize = 16384",
                    "MaxAssociations = 16",
                    "HostTable BEGIN",
                    *hosts,
                    "HostTable END",
                    "VendorTable BEGIN",
                    "VendorTable END",
                    "AETable BEGIN",
                    f"{self.ae_title} {self.database} RW (1000, 16384mb) ANY",
                    "AETable END",
                    "",
                ]
            )
        )
        return [dcmtk_program("dcmqrscp"), "-v", "-c", self._configuration, *self._options]


class DcmtkWorklistScp(Server):
    """wlmscpfs: a worklist of the files `folder`/worklist/AE_TITLE/*.wl (made with `dump2dcm`).

    It leaves out, without a word, items that lack both (0040,0007) and (0040,0008).
    """

    def __init__(
        self, folder: Path, *, ae_title: str = "WORKLIST", port: int | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(log=folder / "wlmscpfs.log", port=port)
        self.ae_title = ae_title
        self._root = folder / "worklist"
        self.entries = self._root / ae_title
        self.entries.mkdir(parents=True, exist_ok=True)
        (self.entries / "lockfile").touch()

    def command(self) -> Sequence[str | Path]:
        return [dcmtk_program("wlmscpfs"), "-v", "-dfp", self._root, str(self.port)]
