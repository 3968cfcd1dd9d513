"""A virtual machine with Debian's kernel: the hardware that the host has not.

Its root is made once and kept in the user's cache, under a hash of the recipe. It boots without an
init system straight into the job, or with systemd, in software emulation, with the checkout and a
folder for results shared by 9p; what the job changes on the root is forgotten.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "gantry-machine"

HOST_PACKAGES = ("mmdebstrap", "qemu-system-x86", "e2fsprogs", "busybox-static", "kmod", "cpio")
GUEST_PACKAGES = (
    *("kmod", "udev", "python3", "python3-numpy", "python3-pytest", "python3-serial"),
    *("python3-pyudev", "python3-hypothesis", "python3-pydicom", "dosfstools"),
    *("udisks2", "dbus", "polkitd", "systemd-sysv"),
)
_IN_INITRD = ("virtio_pci", "virtio_blk", "ext4")
_INIT = """#!/bin/busybox sh
B=/bin/busybox
$B mount -t proc p /proc; $B mount -t sysfs s /sys; $B mount -t devtmpfs d /dev
for m in $($B cat /m/order); do $B insmod /m/$m; done
for i in 1 2 3 4 5 6 7 8 9 10; do [ -e /dev/vda ] && break; $B sleep 0.5; done
$B mount -t ext4 /dev/vda /mnt && exec $B switch_root /mnt /gantry-init
"""
SYSTEMD = "gantry=systemd"
"""On the kernel's command line: systemd is to run, and the job as one of its services."""
_GUEST_INIT = f"""#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
mount -t proc p /proc; grep -q {SYSTEMD} /proc/cmdline && exec /sbin/init
mount -t sysfs s /sys; mount -t devtmpfs d /dev
mkdir -p /dev/pts /dev/shm; mount -t devpts d /dev/pts; mount -t tmpfs t /dev/shm
mount -t tmpfs t /tmp; mount -t tmpfs t /run; ip link set lo up 2>/dev/null
exec /gantry-job
"""
_GUEST_JOB = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
modprobe 9pnet_virtio; modprobe 9p
mkdir -p /tmp/checkout /tmp/results
mount -t 9p -o trans=virtio,version=9p2000.L,ro checkout /tmp/checkout
mount -t 9p -o trans=virtio,version=9p2000.L results /tmp/results
cd /tmp/results
sh ./job >output 2>&1
echo $? >status
sync
echo o >/proc/sysrq-trigger
sleep 30
"""
_GUEST_UNIT = """[Unit]
Description=The job
After=basic.target
[Service]
ExecStart=/gantry-job
"""


@dataclass(frozen=True)
class GuestResult:
    """What a job printed, and its exit status."""

    status: int
    output: str

    def check(self) -> GuestResult:
        """Itself when the status is 0; AssertionError with what was printed when not."""
        assert self.status == 0, self.output
        return self


class Guest:
    """The machine; `run` boots it for one job."""

    packages: tuple[str, ...] = GUEST_PACKAGES

    def __init__(self) -> None:
        name = hashlib.sha256("\n".join(self.recipe()).encode()).hexdigest()[:16]
        self._folder = CACHE / name

    def recipe(self) -> tuple[str, ...]:
        """What the root depends on."""
        return (*self.packages, *_IN_INITRD, _INIT, _GUEST_INIT, _GUEST_JOB, _GUEST_UNIT)

    @property
    def root(self) -> Path:
        """The image of its disk, an ext4 without partitions."""
        return self._folder / "root.img"

    @property
    def words_for_qemu(self) -> tuple[str, ...]:
        """A PC of two processors in emulation, with this kernel."""
        return (
            *("qemu-system-x86_64", "-M", "q35", "-cpu", "max", "-accel", "tcg,thread=multi"),
            *("-m", "1024", "-smp", "2"),
            *("-kernel", str(self._folder / "vmlinuz"), "-initrd", str(self._folder / "initrd.gz")),
        )

    def build(self) -> None:
        """Make the root, unless it is there. Needs root, a mirror of Debian, some minutes."""
        if (self._folder / "complete").exists():
            return
        missing = [each for each in HOST_PACKAGES if not _is_installed(each)]
        if missing:
            do(["apt-get", "-q", "update"])
            do(["apt-get", "-q", "-y", "--no-install-recommends", "install", *missing])
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        with tempfile.TemporaryDirectory(dir=self._folder) as work:
            self._build_in(Path(work))
        (self._folder / "complete").touch()

    def _build_in(self, work: Path) -> None:
        root = work / "root"
        do(
            [
                *("mmdebstrap", "--variant=minbase", "--mode=root"),
                f"--include={','.join(self.packages)}",
                *("bookworm", str(root)),
            ]
        )
        kernel = self._kernel(work)
        modules = next((kernel / "lib" / "modules").iterdir())
        shutil.move(str(modules), str(root / "usr" / "lib" / "modules" / modules.name))
        do(["depmod", "-b", str(root), modules.name])
        shutil.copy(next((kernel / "boot").glob("vmlinuz-*")), self._folder / "vmlinuz")
        self.equip(root)
        self._initrd(work, root / "usr" / "lib" / "modules" / modules.name)
        do(["mke2fs", "-q", "-t", "ext4", "-d", str(root), str(self.root), "2500M"])

    def equip(self, root: Path) -> None:
        """Put in what is not Debian's: the job, by either way."""
        for name, text in (("gantry-init", _GUEST_INIT), ("gantry-job", _GUEST_JOB)):
            (root / name).write_text(text)
            (root / name).chmod(0o755)
        units = root / "etc" / "systemd" / "system"
        (units / "gantry-job.service").write_text(_GUEST_UNIT)
        (units / "multi-user.target.wants").mkdir(exist_ok=True)
        (units / "multi-user.target.wants" / "gantry-job.service").symlink_to(
            "../gantry-job.service"
        )

    @staticmethod
    def _kernel(work: Path) -> Path:
        """Debian's kernel, unpacked beside the root: over it, it would replace /lib."""
        said = do(["apt-cache", "depends", "linux-image-amd64"])
        package = next(
            line.split()[-1] for line in said.splitlines() if "Depends: linux-image" in line
        )
        do(["apt-get", "-q", "download", package], cwd=work)
        kernel = work / "kernel"
        do(["dpkg-deb", "-x", str(next(work.glob("linux-image-*.deb"))), str(kernel)])
        return kernel

    def _initrd(self, work: Path, modules: Path) -> None:
        tree = work / "initrd"
        for name in ("bin", "dev", "proc", "sys", "mnt", "m"):
            (tree / name).mkdir(parents=True)
        shutil.copy("/bin/busybox", tree / "bin" / "busybox")
        order = []
        for path in _closure(modules):
            shutil.copy(modules / path, tree / "m" / path.name)
            order.append(path.name)
        (tree / "m" / "order").write_text("\n".join(order))
        (tree / "init").write_text(_INIT)
        (tree / "init").chmod(0o755)
        packed = subprocess.run(
            "find . | cpio -o -H newc --quiet",
            shell=True,
            cwd=tree,
            check=True,
            capture_output=True,
        )
        (self._folder / "initrd.gz").write_bytes(gzip.compress(packed.stdout))

    def run(
        self,
        job: str,
        results: Path,
        *,
        devices: tuple[str, ...] = (),
        seconds: float = 600.0,
        attend: Callable[[], None] = lambda: None,
        systemd: bool = False,
    ) -> GuestResult:
        """Boot, run the shell script `job` with the checkout at /tmp/checkout, power off.

        `results` is the folder in which the job runs; `devices` are further words for QEMU. While
        it runs, `attend` is called again and again: it does what a person would do at the machine.
        With `systemd` the job is a service of it, else there is nothing but the job.
        """
        self.build()
        results.mkdir(parents=True, exist_ok=True)
        (results / "job").write_text(job)
        shared = "local,security_model=none,multidevs=remap"
        command = [
            *(*self.words_for_qemu, "-nographic", "-no-reboot", "-nic", "none"),
            *("-append", f"console=ttyS0 quiet panic=-1 rdinit=/init {SYSTEMD * systemd}"),
            *("-drive", f"file={self.root},if=virtio,format=raw,snapshot=on"),
            *("-virtfs", f"{shared},path={ROOT},mount_tag=checkout,readonly=on"),
            *("-virtfs", f"{shared},path={results},mount_tag=results"),
            *devices,
        ]
        with (results / "console").open("wb") as console:
            done = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=console, stderr=console
            )
            try:
                end = time.monotonic() + seconds
                while done.poll() is None and time.monotonic() < end:
                    attend()
                    time.sleep(0.05)
            finally:
                done.kill()
                done.wait()
        status = results / "status"
        if not status.exists():
            said = (results / "console").read_text(errors="replace")
            return GuestResult(done.returncode or 1, f"the guest did not finish:\n{said[-4000:]}")
        return GuestResult(
            int(status.read_text()), (results / "output").read_text(errors="replace")
        )


def _closure(modules: Path) -> list[Path]:
    """The modules of the initrd with those that they need, in the order of loading."""
    needs: dict[str, list[str]] = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        name, _, rest = line.partition(":")
        needs[name] = rest.split()
    by_name = {Path(name).name.split(".")[0].replace("-", "_"): name for name in needs}
    found: dict[str, None] = {}

    def add(name: str) -> None:
        for each in reversed(needs[name]):
            add(each)
        found[name] = None

    for wanted in ("crc32c_generic", *_IN_INITRD):
        if wanted in by_name:
            add(by_name[wanted])
    return [Path(name) for name in found]


def _is_installed(package: str) -> bool:
    done = subprocess.run(["dpkg", "-s", package], capture_output=True, check=False)
    return done.returncode == 0


def do(command: list[str], cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout
