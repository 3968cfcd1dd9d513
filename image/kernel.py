"""Debian's kernel in a root, without what no box of ours has, and the first file system (initrd).

The package is unpacked beside the root and not installed: its scripts would make an initrd with
the root's own programs, which takes twenty minutes under emulation. Ours is a busybox, the modules
that lead to the disk, and one script; it is the same on every machine.
"""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Sequence
from pathlib import Path

from image.boards import EVERYWHERE, Board
from image.foreign_debian import ForeignDebianError, do

_SCRIPT = Path(__file__).parent / "first_script"

_NETWORKS_OF_SERVERS = (
    *("mellanox", "chelsio", "qlogic", "cavium", "emulex", "netronome", "huawei", "sfc", "brocade"),
    *("neterion", "pensando", "fungible", "amazon", "marvell/octeontx2", "marvell/octeon_ep"),
    *("broadcom/bnx2x", "broadcom/bnxt", "intel/i40e", "intel/ice", "intel/fm10k", "hisilicon"),
)
_DISKS_OF_SERVERS = (
    *("lpfc", "qla2xxx", "qla4xxx", "bfa", "be2iscsi", "mpi3mr", "mpt3sas", "aic7xxx", "aic94xx"),
    *("megaraid", "csiostor", "elx", "fnic", "snic", "isci", "bnx2i", "bnx2fc", "qedi", "qedf"),
    *("cxgbi", "aacraid", "smartpqi", "pm8001", "esas2r", "hisi_sas", "arcmsr", "fcoe", "libfc"),
)

NOT_OURS = (
    *("drivers/gpu", "drivers/infiniband", "drivers/net/wireless", "drivers/iio"),
    *("drivers/staging", "drivers/comedi", "drivers/isdn", "drivers/bluetooth", "drivers/atm"),
    *("drivers/target", "drivers/nvdimm", "drivers/soundwire", "drivers/vhost"),
    *("net/bluetooth", "net/mac80211", "net/wireless", "net/sctp", "net/tipc", "net/rds"),
    *("net/batman-adv", "net/atm", "net/ax25", "net/netrom", "net/rose", "net/openvswitch"),
    *("sound/pci", "sound/soc", "sound/isa", "sound/hda", "sound/firewire", "sound/synth"),
    *(f"drivers/net/ethernet/{maker}" for maker in _NETWORKS_OF_SERVERS),
    *(f"drivers/scsi/{name}" for name in _DISKS_OF_SERVERS),
    *("fs/ocfs2", "fs/gfs2", "fs/ceph", "fs/btrfs", "fs/xfs", "fs/f2fs", "fs/reiserfs", "fs/jfs"),
    *("fs/afs", "fs/coda", "fs/orangefs", "fs/dlm", "fs/bcachefs", "fs/nilfs2", "fs/smb"),
)
"""Folders of modules for what no box has: screens, radio, the hardware of servers."""


def unpack(beside: Path, name: str, work: Path) -> Path:
    """The content of the package in the folder `beside` whose file begins so.

    Raises ForeignDebianError.
    """
    found = sorted(beside.glob(f"{name}*.deb"))
    if len(found) != 1:
        raise ForeignDebianError(f"{len(found)} packages {name}... beside the root, not one")
    target = work / f"unpacked-{name}"
    target.mkdir()
    do(["dpkg-deb", "--extract", found[0], target])
    return target


def put_kernel(board: Board, root: Path, beside: Path, work: Path) -> None:
    """/boot/vmlinuz, /boot/initrd and the modules, in `root`. Raises ForeignDebianError."""
    unpacked = unpack(beside, "linux-image-", work)
    modules = next((unpacked / "lib/modules").iterdir())
    for name in NOT_OURS:
        shutil.rmtree(modules / "kernel" / name, ignore_errors=True)
    there = root / "usr/lib/modules" / modules.name
    there.parent.mkdir(exist_ok=True)
    shutil.move(modules, there)
    do(["depmod", "-b", root, modules.name])
    boot = root / "boot"
    shutil.copy(next((unpacked / "boot").glob("vmlinuz-*")), boot / "vmlinuz")
    trees = unpacked.glob("usr/lib/linux-image-*")
    for tree in trees:
        shutil.move(tree, boot / "device-trees")
    shutil.copytree(unpacked / "usr/share/doc", root / "usr/share/doc", dirs_exist_ok=True)
    (boot / "initrd").write_bytes(_initrd(board, there, beside, work))


def _initrd(board: Board, modules: Path, beside: Path, work: Path) -> bytes:
    tree = work / "initrd"
    for name in ("bin", "dev", "proc", "sys", "root", "data", "modules"):
        (tree / name).mkdir(parents=True)
    busybox = unpack(beside, "busybox-static_", work)
    shutil.copy(next(busybox.glob("**/bin/busybox")), tree / "bin")
    order = closure((modules / "modules.dep").read_text(), (*EVERYWHERE, *board.modules))
    for path in order:
        shutil.copy(modules / path, tree / "modules")
    (tree / "modules/order").write_text("".join(f"{Path(each).name}\n" for each in order))
    shutil.copy(_SCRIPT, tree / "init")
    (tree / "init").chmod(0o755)
    names = "\n".join(str(each.relative_to(tree)) for each in sorted(tree.rglob("*")))
    (work / "initrd.names").write_text(names + "\n")
    do(["touch", "--no-dereference", "--date=@0", *tree.rglob("*")])
    packed = work / "initrd.cpio"
    do(
        [
            *("sh", "-c"),
            'cd "$0" && cpio --create --format=newc --owner=0:0 --reproducible --quiet <"$1" >"$2"',
            *(tree, work / "initrd.names", packed),
        ]
    )
    return gzip.compress(packed.read_bytes(), mtime=0)


def closure(dependencies: str, wanted: Sequence[str]) -> list[str]:
    """The paths of these modules and of all that they need, in the order of loading.

    `dependencies` is the text of modules.dep. A module that is built in, or of other kernels, is
    not in it and is left out. Raises ForeignDebianError when none is found.
    """
    needs = {}
    for line in dependencies.splitlines():
        path, _, rest = line.partition(":")
        needs[path] = rest.split()
    by_name = {Path(path).name.partition(".")[0].replace("-", "_"): path for path in needs}
    found: dict[str, None] = {}

    def add(path: str) -> None:
        # modules.dep lists what is needed in the reverse order of loading.
        for each in reversed(needs[path]):
            add(each)
        found[path] = None

    for name in wanted:
        if name in by_name:
            add(by_name[name])
    if not found:
        raise ForeignDebianError("The kernel has none of the modules that lead to a disk")
    return list(found)
