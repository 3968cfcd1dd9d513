"""A card in a machine: its image boots by UEFI, in software emulation, and is spoken to.

Beside what a card has, the rig puts one unit into the changes of /etc, which lie on the data
partition: a shell on a virtio port, through which a test asks the box what a person could see.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from image.boards import Board
from image.partitions import layout

SHELL = """[Unit]
Description=A shell for the test
DefaultDependencies=no
After=systemd-udev-trigger.service
StartLimitIntervalSec=0
[Service]
ExecStartPre=/bin/bash -c 'until [ -e /dev/virtio-ports/rig ]; do sleep 1; done'
TimeoutStartSec=infinity
ExecStart=/bin/bash -c 'exec bash <>/dev/virtio-ports/rig >&0 2>&1'
Restart=always
RestartSec=1
"""


class Firmware(NamedTuple):
    """A machine of QEMU that starts by UEFI."""

    program: str
    machine: tuple[str, ...]
    code: Path
    variables: Path
    package: str


FIRMWARE: Mapping[str, Firmware] = {
    "amd64": Firmware(
        "qemu-system-x86_64",
        # Without MONITOR the firmware halts the second processor until the kernel takes it. With
        # MWAIT, which in emulation is to run, it takes the time that the first one needs.
        ("-M", "q35", "-cpu", "max,-monitor"),
        Path("/usr/share/OVMF/OVMF_CODE_4M.fd"),
        Path("/usr/share/OVMF/OVMF_VARS_4M.fd"),
        "ovmf",
    ),
    "arm64": Firmware(
        "qemu-system-aarch64",
        ("-M", "virt", "-cpu", "cortex-a72"),
        Path("/usr/share/AAVMF/AAVMF_CODE.fd"),
        Path("/usr/share/AAVMF/AAVMF_VARS.fd"),
        "qemu-efi-aarch64",
    ),
}


class Disk:
    """A card as a file of its own, grown to `size` as a larger card is."""

    def __init__(self, board: Board, image: Path, folder: Path, *, size: int = 3 * 2**30) -> None:
        self.path = folder / "disk.img"
        subprocess.run(["cp", "--sparse=always", image, self.path], check=True)
        with self.path.open("r+b") as file:
            file.truncate(size)
        self._places = {each.name: each.start for each in layout(board)}

    def put(self, files: Mapping[str, str | Path | None], folder: Path) -> None:
        """Write files (None: folders; paths: links) as changes of /etc, before the first start."""
        commands = ["mkdir changes", "mkdir changes/etc"]
        for number, (name, text) in enumerate(files.items()):
            if text is None:
                commands.append(f"mkdir changes/etc/{name}")
                continue
            if isinstance(text, Path):
                commands.append(f"symlink changes/etc/{name} {text}")
                continue
            source = folder / f"put-{number}"
            source.write_text(text)
            commands.append(f"write {source} changes/etc/{name}")
        script = folder / "put"
        script.write_text("\n".join(commands) + "\n")
        # debugfs says 0 whatever happened: what it says is looked at.
        done = subprocess.run(
            ["debugfs", "-w", "-f", script, f"{self.path}?offset={self._places['data']}"],
            capture_output=True,
            text=True,
            check=True,
        )
        said = [line for line in done.stderr.splitlines() if not line.startswith("debugfs 1.")]
        assert not said, said

    def put_shell(self, folder: Path, files: Mapping[str, str | Path | None]) -> None:
        """The shell of `Box.ask`, and more files."""
        units = "systemd/system"
        self.put(
            {
                "systemd": None,
                units: None,
                f"{units}/sysinit.target.wants": None,
                f"{units}/rig.service": SHELL,
                f"{units}/sysinit.target.wants/rig.service": Path("../rig.service"),
                **files,
            },
            folder,
        )

    def put_settings(self, text: str, folder: Path) -> None:
        """Write gantry.conf, as another computer does that has the card in its reader."""
        source = folder / "gantry.conf"
        source.write_bytes(text.encode())
        place = f"{self.path}@@{self._places['boot']}"
        subprocess.run(["mcopy", "-o", "-i", place, source, "::gantry.conf"], check=True)

    def overwrite(self, partition: str, piece: bytes, offset: int = 0) -> None:
        """Spoil a partition, while the machine is off."""
        with self.path.open("r+b") as file:
            file.seek(self._places[partition] + offset)
            file.write(piece)


_HONEST = "if=virtio,format=raw,cache=writethrough"
"""What the guest was told to be written is written, whatever becomes of the machine."""


class NoAnswerError(AssertionError):
    """The shell inside did not answer in time; with the end of the console."""


class Running:
    """A machine that is switched on; a context manager that switches it off the hard way.

    Each start is a QEMU of its own, with the same disk: one that is reset ends. Within one, what is
    unpacked after a reset where there was code before comes by a kilobyte a second (QEMU 7.2 gives
    up its translations one by one): firmware and kernel seem to hang.
    """

    def __init__(self, command: Sequence[str | Path], folder: Path) -> None:
        """`command` is QEMU with its words, all but those of the console and of the shell."""
        folder.mkdir(exist_ok=True)
        self.console = folder / "console"
        self._shell = folder / "shell"
        self._command = [
            *(*command, "-no-reboot", "-display", "none", "-monitor", "none"),
            *("-chardev", f"file,id=console,path={self.console},append=on"),
            *("-serial", "chardev:console"),
            *("-device", "virtio-serial-pci", "-chardev"),
            f"socket,id=rig,path={self._shell},server=on,wait=off",
            *("-device", "virtserialport,chardev=rig,name=rig"),
        ]
        self._count = 0
        self._switch_on()

    def _switch_on(self) -> None:
        self._shell.unlink(missing_ok=True)
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL)
        self._line: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cut_power()

    def cut_power(self) -> None:
        """Switch it off the hard way; allowed at any time."""
        self._process.kill()
        self._process.wait()
        self._hang_up()

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    @property
    def is_on(self) -> bool:
        """Whether it was neither switched off nor reset since it was switched on."""
        return self._process.poll() is None

    def ask(self, script: str, *, seconds: float = 120.0) -> str:
        """What a shell inside prints for the script, and its status in the last line.

        The first call waits until the shell is there. Raises NoAnswerError, also when the machine
        is reset meanwhile.
        """
        self._count += 1
        mark = f"rig-{self._count}-{time.monotonic_ns()}"
        # A shell that is not there yet reads nothing: the line is sent when the port is open.
        text = f"{{ {script}\n}} </dev/null 2>&1; echo $? {mark[:4]}''{mark[4:]}\n"
        end = time.monotonic() + seconds
        said = b""
        try:
            line = self._connected()
            line.sendall(text.encode())
            while mark.encode() not in said:
                left = end - time.monotonic()
                if left <= 0:
                    raise NoAnswerError(f"{script!r}: {said[-2000:]!r}\n{self.said()[-3000:]}")
                line.settimeout(left)
                with contextlib.suppress(TimeoutError):
                    piece = line.recv(65536)
                    if not piece:
                        raise ConnectionResetError("the port is closed")
                    said += piece
        except (ConnectionError, FileNotFoundError) as error:
            self._hang_up()
            raise NoAnswerError(f"the machine ended: {error}\n{self.said()[-3000:]}") from error
        answer = said.decode(errors="replace").rpartition(mark)[0]
        # Before it there may be answers to questions that nobody waited for any more.
        return re.split(r"rig-\d+-\d+\s", answer)[-1].strip()

    def check(self, script: str, *, seconds: float = 120.0) -> str:
        """The same for what must succeed; without the status."""
        text, _, status = self.ask(script, seconds=seconds).rpartition("\n")
        text, status = (text, status) if status else ("", text)
        assert status.strip() == "0", f"{script}: {status}\n{text}"
        return text.strip()

    def until_started_anew(self, script: str, *, seconds: float) -> None:
        """Run what makes the box start anew, and wait for the shell after that."""
        before = self.boot()
        self._connected().sendall(f"{script}\n".encode())
        self.wait_for_another_boot(before, seconds=seconds)

    def boot(self) -> str:
        """The kernel's own name for the time since this start."""
        return self.check("cat /proc/sys/kernel/random/boot_id")

    def wait_for_another_boot(self, before: str, *, seconds: float) -> None:
        """Wait for the shell of a later start, through all resets on the way to it."""
        end = time.monotonic() + seconds
        while True:
            if not self.is_on:
                self._hang_up()
                self._switch_on()
            # What the ending system has read gets no answer: ask again.
            try:
                if self.check("cat /proc/sys/kernel/random/boot_id", seconds=20.0) != before:
                    return
            except NoAnswerError:
                if time.monotonic() > end:
                    raise
            assert time.monotonic() < end, f"it did not start anew:\n{self.said()[-3000:]}"
            time.sleep(1.0)

    def said(self) -> str:
        """All that was written to the serial console."""
        return self.console.read_text(errors="replace") if self.console.exists() else ""

    def wait_until(self, script: str, *, seconds: float) -> str:
        """Ask again and again until the script succeeds."""
        end = time.monotonic() + seconds
        while True:
            said = self.ask(script, seconds=max(1.0, end - time.monotonic()))
            if said.rpartition("\n")[2].strip() == "0":
                return said.rpartition("\n")[0]
            assert time.monotonic() < end, f"{script}: {said}\n{self.said()[-3000:]}"
            time.sleep(1.0)

    def _connected(self) -> socket.socket:
        if self._line is None:
            end = time.monotonic() + 30.0
            while not self._shell.exists():
                assert time.monotonic() < end, self.said()
                if not self.is_on:
                    raise ConnectionResetError("it is off")
                time.sleep(0.1)
            self._line = socket.socket(socket.AF_UNIX)
            self._line.connect(str(self._shell))
        return self._line


class Box(Running):
    """The running machine with a card in it."""

    def __init__(
        self,
        board: Board,
        disk: Disk,
        folder: Path,
        *,
        memory: int = 512,
        ports: Mapping[int, int] | None = None,
        devices: tuple[str, ...] = (),
        drive: tuple[str, ...] = (),
        network: tuple[str, ...] = (),
        around: Sequence[str] = (),
    ) -> None:
        """`drive` and `network` are words for QEMU: a disk with another cache, other adapters.

        `around` stands before the whole command.
        """
        folder.mkdir(exist_ok=True)
        firmware = FIRMWARE[board.debian]
        variables = folder / "variables.fd"
        shutil.copyfile(firmware.variables, variables)
        flash = "if=pflash,format=raw,unit"
        super().__init__(
            [
                *around,
                *(firmware.program, *firmware.machine, "-accel", "tcg,thread=multi"),
                *("-m", str(memory), "-smp", "2"),
                *("-drive", f"{flash}=0,readonly=on,file={firmware.code}"),
                *("-drive", f"{flash}=1,file={variables}"),
                *(drive or ("-drive", f"file={disk.path},{_HONEST}")),
                *(network or ("-nic", f"user,model=virtio-net-pci{forwards(ports or {})}")),
                *devices,
            ],
            folder,
        )


def forwards(ports: Mapping[int, int]) -> str:
    """Words of a user's network: ports of the host's loopback that lead to ports inside."""
    return "".join(
        f",hostfwd=tcp:127.0.0.1:{outside}-:{inside}" for outside, inside in ports.items()
    )
