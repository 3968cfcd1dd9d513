"""The root file system of an image: Debian 12, our package, a kernel; packed, and never written to.

Debian's part is the same for every build of a day and takes minutes, under emulation many: it is
kept in the user's cache under a hash of its recipe. Our part is put in anew each time.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from image.boards import Board
from image.foreign_debian import ForeignDebianError, do, ensure_emulation
from image.kernel import put_kernel

FILES = Path(__file__).parent / "files"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gantry-card"

HOST_PROGRAMS = {
    "mmdebstrap": "mmdebstrap",
    "mksquashfs": "squashfs-tools",
    "depmod": "kmod",
    "cpio": "cpio",
}
PACKAGES = (
    # The system: init, devices, names, time.
    *("systemd-sysv", "systemd-timesyncd", "systemd-resolved", "libnss-resolve", "udev", "dbus"),
    *("kmod", "util-linux-extra", "procps", "usr-is-merged"),
    # Network and firewall.
    *("iproute2", "nftables", "netbase", "ca-certificates"),
    # Updates, partitions, file systems.
    *("rauc", "rauc-service", "grub-common", "fdisk", "e2fsprogs", "dosfstools"),
    # Sticks and discs; tokens of the TPM; Python for us.
    *("udisks2", "polkitd", "exfatprogs", "xorriso", "tpm2-tools", "openssl"),
    *("python3", "tzdata", "media-types"),
)
_LEFT_OUT = ("man", "locale", "info", "doc", "lintian", "bash-completion")
_UNITS = (
    *("systemd-networkd", "systemd-resolved", "systemd-timesyncd", "nftables"),
    *("gantry-grow", "gantry-network", "gantry-firewall", "gantry-firewall.path", "gantry-healthy"),
    "gantry-time-broadcast.socket",
)
_NOT_WANTED = (
    # Of what is installed; e2scrub wants LVM, and the rest looks after packages.
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer"),
    *("e2scrub_reap.service", "systemd-networkd-wait-online.service", "grub-common.service"),
    *("fstrim.timer", "systemd-pstore.service"),
)
_STATE_LEFT_OUT = ("/var/lib/dpkg", "/var/lib/apt", "/var/cache/apt", "/var/cache/debconf")

_BESIDE = """
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" && mkdir "$1/beside" && cd "$1/beside" &&
kernel=$(apt-cache depends {kernel} | sed -n "s/.*Depends: \\(linux-image-.*\\)/\\1/p") &&
apt-get -q download $kernel busybox-static {others}
"""
"""Packages that are taken along and not installed, from the same index as all others."""


_WITH_PROC = (
    *("unshare", "--mount", "sh", "-c"),
    'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"',
)
"""Before a root and a command: chroot with /proc, which systemd-tmpfiles wants; gone afterwards."""


def base(board: Board) -> Path:
    """The archive (tar) of Debian's part. Made when it is not there, as root, from a mirror.

    Raises ForeignDebianError.
    """
    settings = [
        "--variant=essential",
        "--mode=root",
        "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
        '--aptopt=Apt::Install-Recommends "false"',
        *(f"--dpkgopt=path-exclude=/usr/share/{each}/*" for each in _LEFT_OUT),
        # Who distributes the image distributes its licences with it.
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        f"--include={','.join(PACKAGES)}",
        f"--components={','.join(board.components)}",
        f"--customize-hook={_BESIDE.format(kernel=board.kernel, others=' '.join(board.beside))}",
    ]
    name = hashlib.sha256("\n".join((board.debian, *settings)).encode()).hexdigest()[:16]
    archive = CACHE / f"base-{board.debian}-{name}.tar"
    if archive.exists():
        return archive
    CACHE.mkdir(parents=True, exist_ok=True)
    unfinished = archive.with_suffix(".unfinished.tar")
    do(["mmdebstrap", *settings, f"--architectures={board.debian}", "bookworm", unfinished])
    unfinished.rename(archive)
    return archive


def make_root(
    board: Board, packages: Sequence[Path], work: Path, version: str, keyring: Path
) -> tuple[Path, Path]:
    """The folders of the root, complete, and of packages beside it. Raises ForeignDebianError.

    Both are below `work`; only root can make them.
    `packages` are our .deb files; what they depend on must be in PACKAGES: nothing is fetched.
    """
    ensure_emulation(board.debian)
    root = work / "root"
    root.mkdir()
    do(["tar", "--extract", "--numeric-owner", "--xattrs", "--file", base(board), "-C", root])
    beside = work / "beside"
    shutil.move(root / "beside", beside)
    _put_files(root, board, version, keyring)
    _install(root, packages)
    put_kernel(board, root, beside, work)
    _enable(root)
    _strip(root)
    _keep_state_of_packages(root)
    return root, beside


def _put_files(root: Path, board: Board, version: str, keyring: Path) -> None:
    """Everything of `files`, with the words that differ filled in."""
    words = {"@COMPATIBLE@": f"gantry-{board.debian}", "@VERSION@": version}
    for source in sorted(each for each in FILES.rglob("*") if each.is_file()):
        target = root / source.relative_to(FILES)
        target.parent.mkdir(parents=True, exist_ok=True)
        text = source.read_text()
        for word, value in words.items():
            text = text.replace(word, value)
        # What Debian has put there may be a link to elsewhere.
        target.unlink(missing_ok=True)
        target.write_text(text)
        target.chmod(0o755 if text.startswith("#!") else 0o644)
    shutil.copyfile(keyring, root / "etc/rauc/keyring.pem")
    # On a machine of others how much the journal may take is not for our package to say.
    shutil.copytree(
        FILES.parents[1] / "systemd/journald.conf.d",
        root / "usr/lib/systemd/journald.conf.d",
        dirs_exist_ok=True,
    )
    (root / "boot/efi").mkdir(parents=True, exist_ok=True)
    (root / "media").mkdir(exist_ok=True)
    resolver = root / "etc/resolv.conf"
    resolver.unlink(missing_ok=True)
    resolver.symlink_to("../run/systemd/resolve/stub-resolv.conf")
    # Empty, not absent: systemd fills it in, and does not take this for a machine without settings.
    (root / "etc/machine-id").write_text("")
    (root / "etc/hostname").write_text("gantry\n")


def _install(root: Path, packages: Sequence[Path]) -> None:
    inside = root / "tmp/packages"
    inside.mkdir(parents=True)
    for each in packages:
        shutil.copy(each, inside)
    names = [f"/tmp/packages/{each.name}" for each in packages]
    quiet = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    # No service is started while packages are put in.
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        if names:
            do([*_WITH_PROC, root, "dpkg", "--install", *names], environment=quiet)
        # The package's own first configuration would keep gantry.conf from being read.
        (root / "etc/gantry/gantry.toml").unlink(missing_ok=True)
    finally:
        policy.unlink()
        shutil.rmtree(inside)


def _enable(root: Path) -> None:
    there = [each for each in ("gantry.service", "gantry-firstboot.service") if _has(root, each)]
    do(["chroot", root, "systemctl", "enable", *_UNITS, *there])
    do(["chroot", root, "systemctl", "mask", *(each for each in _NOT_WANTED if _has(root, each))])


def _has(root: Path, unit: str) -> bool:
    return (root / "usr/lib/systemd/system" / unit).exists()


def _strip(root: Path) -> None:
    """What only the making of a root leaves behind, or an interpreter can make again."""
    for pattern in ("var/lib/apt/lists/*", "var/cache/*/*", "var/log/*", "tmp/*", "var/tmp/*"):
        for each in root.glob(pattern):
            shutil.rmtree(each) if each.is_dir() and not each.is_symlink() else each.unlink()
    # grub-common is there for grub-editenv.
    for name in ("usr/share/grub", "usr/bin/grub-mkrescue", "usr/bin/grub-mkstandalone"):
        target = root / name
        shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)


def _keep_state_of_packages(root: Path) -> None:
    """/var of the root becomes rules for systemd-tmpfiles: the data partition begins empty.

    What a later root needs in /var is so made at its first start, too. The list of packages goes
    below /usr: it belongs to the slot, not to the data.
    """
    database = root / "usr/lib/gantry-card/dpkg"
    shutil.move(root / "var/lib/dpkg", database)
    lines = ["L+ /var/lib/dpkg - - - - /usr/lib/gantry-card/dpkg", *_rules(root)]
    rules = root / "usr/lib/tmpfiles.d/00-gantry-card.conf"
    rules.write_text("\n".join(lines) + "\n")
    shutil.rmtree(root / "var")
    (root / "var").mkdir()


def _rules(root: Path) -> Iterator[str]:
    for path in sorted((root / "var").rglob("*")):
        name = "/" + str(path.relative_to(root))
        if name.startswith(_STATE_LEFT_OUT):
            continue
        if path.is_symlink():
            yield f"L {name} - - - - {path.readlink()}"
        elif path.is_dir():
            about = path.stat()
            yield f"d {name} {about.st_mode & 0o7777:04o} {about.st_uid} {about.st_gid}"


def pack(root: Path, target: Path, moment: int) -> None:
    """The root as a squashfs of gzip, which is what GRUB can read; the same bytes each time.

    `moment` (seconds since 1970) is the time of the file system; later times in it become that.
    """
    for each in (root, *root.rglob("*")):
        if each.lstat().st_mtime > moment:
            os.utime(each, (moment, moment), follow_symlinks=False)
    target.unlink(missing_ok=True)
    do(
        [
            "mksquashfs",
            root,
            target,
            "-comp",
            "gzip",
            "-Xcompression-level",
            "6",
            "-no-progress",
            "-noappend",
            "-xattrs",
        ],
        environment={"SOURCE_DATE_EPOCH": str(moment)},
    )
    if target.stat().st_size > 400 * 2**20:
        raise ForeignDebianError(f"The root has {target.stat().st_size >> 20} MiB, more than 400")
