"""A token (SoftHSM) and a TPM 2.0 (swtpm) by others, with the programs that look into them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from socket import AF_UNIX, socket

import pytest

from tests.node import running
from tests.peers.process import ChildProcess
from tests.peers.programs import Completed, plugin, program, run

PIN = "471147"
TOKEN = "box"


class SoftToken:
    """An initialized token in a folder; the variables of `environment` lead a process to it."""

    def __init__(self, folder: Path) -> None:
        (folder / "tokens").mkdir(parents=True)
        configuration = folder / "softhsm2.conf"
        configuration.write_text(
            f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\n"
            "log.level = ERROR\n"
        )
        self.module = plugin("libsofthsm2", "libsofthsm2.so")
        self.environment: Mapping[str, str] = {"SOFTHSM2_CONF": str(configuration)}
        self.pin_file = folder / "pin"
        self.pin_file.write_text(f"{PIN}\n")
        tool = program("softhsm2", "softhsm2-util")
        words = ("--init-token", "--free", "--label", TOKEN, "--so-pin", "12345678", "--pin", PIN)
        run([tool, *words], environment=self.environment).check()

    @property
    def table(self) -> str:
        """The lines of a [[key]] that say where the key is."""
        return (
            f'store = "pkcs11"\nmodule = "{self.module}"\ntoken = "{TOKEN}"\n'
            f'secret = {{ file = "{self.pin_file}" }}\n'
        )

    def lead(self, patch: pytest.MonkeyPatch) -> None:
        """This process and the nodes of tests find the token from now on."""
        for name, value in self.environment.items():
            patch.setenv(name, value)
        patch.setattr(running, "ENVIRONMENT", {**running.ENVIRONMENT, **self.environment})

    def objects(self) -> str:
        """What pkcs11-tool sees after it has logged in."""
        words = ("--module", self.module, "--token-label", TOKEN, "--login", "--pin", PIN)
        tool = program("opensc", "pkcs11-tool")
        return run([tool, *words, "--list-objects"], environment=self.environment).check().output


class SoftChip(ChildProcess):
    """A started TPM, empty at first; `device` is its name for `hal.keys.tpm`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.socket = folder / "s"
        self.device = f"unix:{self.socket}"
        self.table = f'store = "tpm"\ndevice = "{self.device}"\nhandle = 0x81010010\n'
        server = f"type=unixio,path={self.socket}"
        super().__init__(
            [
                *(program("swtpm", "swtpm"), "socket", "--tpm2", "--tpmstate", f"dir={folder}"),
                *("--server", server, "--ctrl", f"type=unixio,path={folder / 's.ctrl'}"),
                *("--flags", "not-need-init,startup-clear"),
            ],
            log=folder / "swtpm.log",
        )

    def start(self) -> SoftChip:
        super().start()
        self._wait(self._listens, "takes connections", 20.0)
        return self

    def _listens(self) -> bool:
        with closing(socket(AF_UNIX)) as probe:
            return not probe.connect_ex(os.fspath(self.socket))

    def tool(self, name: str, *words: str) -> Completed:
        """One of tpm2-tools."""
        return run(
            [program("tpm2-tools", "tpm2"), name, *words],
            environment={"TPM2TOOLS_TCTI": f"swtpm:path={self.socket}"},
        )


class MachineChip(ChildProcess):
    """A TPM for a virtual machine, which starts it itself."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._control = folder / "control"
        super().__init__(
            [
                *(program("swtpm", "swtpm"), "socket", "--tpm2", "--tpmstate", f"dir={folder}"),
                *("--ctrl", f"type=unixio,path={self._control}"),
            ],
            log=folder / "swtpm.log",
        )

    def start(self) -> MachineChip:
        # QEMU ends it, and leaves the socket.
        self._control.unlink(missing_ok=True)
        super().start()
        self._wait(self._control.exists, "has its control socket", 20.0)
        return self

    @property
    def words_for_qemu(self) -> tuple[str, ...]:
        """What plugs it into a PC."""
        return (
            *("-chardev", f"socket,id=chip,path={self._control}"),
            *("-tpmdev", "emulator,id=tpm0,chardev=chip", "-device", "tpm-tis,tpmdev=tpm0"),
        )
