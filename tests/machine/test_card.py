"""The card from its first start to an update that is taken back, on a machine with UEFI.

The packages that go onto it are those in the folder GANTRY_CARD_PACKAGES, or are made by
`image/build packages`. Images are kept in the user's cache under a hash of what they come from.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from image import card, update
from image.boards import BOARDS, Board
from image.partitions import layout
from image.root import base
from tests.archive.objects import sample
from tests.machine.card import FIRMWARE, Box, Disk
from tests.machine.guest import CACHE
from tests.peers.dcmtk import storescu
from tests.peers.programs import missing, program, run

pytestmark = [pytest.mark.machine, pytest.mark.timeout(7200)]

ROOT = Path(__file__).parents[2]
_MINUTES = 60.0
_PATIENCE = 20 * _MINUTES
"""For a start in emulation: 40 s where nobody else wants the processors."""

_CONFIGURATION = """profile = "gateway"
[[entity]]
name = "GANTRY"
port = 11112
[entity.accept]
calling = "any"
[[key]]
name = "box"
algorithm = "ec-p256"
"""
_SHORT = "[Service]\nEnvironment=GANTRY_HEALTHY_SECONDS=120\n"
_SLOW = "[Service]\nTimeoutStartSec=15min\nWatchdogSec=5min\n"
"""A machine that is emulated, beside others, is slower than any board."""


def packages(board: Board) -> list[Path]:
    """Our packages for this board."""
    given = os.environ.get("GANTRY_CARD_PACKAGES")
    if given:
        return card.fitting(Path(given), board)
    if not (ROOT / "image" / "build").exists():
        missing("our package", "put it into a folder and name that in GANTRY_CARD_PACKAGES")
    folder = CACHE / "packages"
    subprocess.run([ROOT / "image/build", "packages", "--into", folder, board.debian], check=True)
    return card.fitting(folder, board)


def built(board: Board) -> card.Made:
    """The image and its update, made when their sources have changed."""
    ours = packages(board)
    sources = sorted(each for each in (ROOT / "image").rglob("*") if each.is_file())
    digest = hashlib.sha256(base(board).name.encode())
    for each in (*sources, *ours):
        if "__pycache__" not in each.parts and each.suffix != ".md":
            digest.update(each.read_bytes())
    folder = CACHE / f"card-{digest.hexdigest()[:16]}"
    made = card.Made(
        folder / f"gantry-1-{board.debian}.img", folder / f"gantry-1-{board.debian}.raucb"
    )
    if not all(each.exists() for each in made):
        card.make(board, ours, folder, update.test_authority(CACHE / "authority"), "1")
    return made


@pytest.fixture(scope="module", params=sorted(BOARDS))
def board(request: pytest.FixtureRequest) -> Board:
    chosen = BOARDS[request.param]
    firmware = FIRMWARE[chosen.debian]
    if not firmware.code.exists():
        missing(f"UEFI for {chosen.debian}", f"apt-get install {firmware.package}")
    if os.geteuid():
        pytest.skip("only root can make an image")
    return chosen


def _broken_node(tree: Path) -> None:
    """Its node ends at once, whatever the configuration."""
    unit = tree / "usr/lib/systemd/system/gantry.service.d"
    unit.mkdir()
    (unit / "broken.conf").write_text("[Service]\nExecStart=\nExecStart=/bin/false\n")


def _broken_codecs(tree: Path) -> None:
    """Its node runs, and `gantry doctor` finds a fault that was not there before."""
    (kernel,) = tree.glob("usr/lib/gantry/packages/agent/codecs/kernel*.so")
    kernel.write_bytes(b"no module")


@pytest.fixture(scope="module")
def updates(board: Board, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A disk with bundles: a good one, and what a card must not take, or must not keep."""
    made = built(board)
    folder = tmp_path_factory.mktemp("updates")
    # Not "bundles": RAUC takes what begins with the name of its own folder, bundle, for inside it.
    bundles = folder / "updates"
    bundles.mkdir()
    good = bundles / "good.raucb"
    subprocess.run(["cp", made.bundle, good], check=True)
    size = good.stat().st_size
    _with_a_flipped_byte(good, size // 3, bundles / "flipped.raucb")
    # Behind the data: their hashes, the signature and its length.
    _with_a_flipped_byte(good, size - 1000, bundles / "changed.raucb")
    with good.open("rb") as whole, (bundles / "cut.raucb").open("wb") as short:
        short.write(whole.read(size // 2))
    unreadable = folder / "unreadable.squashfs"
    unreadable.write_bytes(os.urandom(2**20))
    ours = update.test_authority(CACHE / "authority")
    stranger = update.test_authority(folder / "stranger", "Somebody else")
    update.write_bundle(board, unreadable, ours, "2", folder, bundles / "unreadable.raucb")
    update.write_bundle(board, unreadable, stranger, "3", folder, bundles / "stranger.raucb")
    _write_broken(board, made, folder, bundles)
    disk = folder / "updates.squashfs"
    run(["mksquashfs", bundles, disk, "-noD", "-noI", "-quiet"], seconds=900.0).check()
    shutil.rmtree(bundles)
    yield disk
    shutil.rmtree(folder)


def _with_a_flipped_byte(bundle: Path, place: int, target: Path) -> None:
    subprocess.run(["cp", bundle, target], check=True)
    with target.open("r+b") as file:
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ 1]))


def _write_broken(board: Board, made: card.Made, folder: Path, bundles: Path) -> None:
    """Bundles that are signed by us, and whose systems start, and are no good."""
    (root,) = (each for each in layout(board) if each.name == "root-a")
    for version, (name, spoil) in enumerate(
        (("node", _broken_node), ("codecs", _broken_codecs)), 4
    ):
        tree = folder / "tree"
        run(["unsquashfs", "-q", "-d", tree, "-o", str(root.start), made.card], seconds=900).check()
        spoil(tree)
        (tree / "usr/lib/gantry-card/build").write_text(f"{version}\n")
        packed = folder / f"{name}.squashfs"
        fast = ("-comp", "gzip", "-Xcompression-level", "1", "-quiet", "-no-progress")
        run(["mksquashfs", tree, packed, *fast], seconds=900.0).check()
        shutil.rmtree(tree)
        ours = update.test_authority(CACHE / "authority")
        update.write_bundle(board, packed, ours, str(version), folder, bundles / f"{name}.raucb")
        packed.unlink()


@pytest.fixture(scope="module")
def port() -> int:
    """A free port of the host, which leads to the box's 11112."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        number: int = found.getsockname()[1]
        return number


@pytest.fixture(scope="module")
def box(
    board: Board, updates: Path, port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Box]:
    """A card that was never started, in a machine that is switched on. The tests share it."""
    folder = tmp_path_factory.mktemp("box")
    disk = Disk(board, built(board).card, folder)
    disk.put_shell(
        folder,
        {
            "gantry": None,
            "gantry/gantry.toml": _CONFIGURATION,
            "systemd/system/gantry.service.d": None,
            "systemd/system/gantry.service.d/slow.conf": _SLOW,
            "systemd/system/gantry-healthy.service.d": None,
            "systemd/system/gantry-healthy.service.d/short.conf": _SHORT,
        },
    )
    drive = f"file={updates},if=virtio,format=raw,readonly=on"
    with Box(board, disk, folder, ports={port: 11112}, devices=("-drive", drive)) as running:
        yield running


def echo(port: int) -> int:
    """The exit status of DCMTK's C-ECHO to the box."""
    words = ["-to", "60", "-ta", "60", "-td", "60", "-aec", "GANTRY", "127.0.0.1", str(port)]
    return run([program("dcmtk", "echoscu"), *words], seconds=120.0).returncode


def slot(box: Box) -> str:
    """The slot that runs, A or B."""
    return box.check("sed -n 's/.*rauc.slot=\\(.\\).*/\\1/p' /proc/cmdline")


def wait_until_confirmed(box: Box) -> None:
    """The box has said to its boot loader that all is well."""
    done = "systemctl show --property=ActiveState --value gantry-healthy.service | grep -qx active"
    box.wait_until(done, seconds=_PATIENCE)


def counters(box: Box) -> set[str]:
    """RAUC's variables, as the boot loader finds them."""
    return set(box.check("grub-editenv /boot/efi/EFI/gantry/grubenv list").splitlines())


def install(box: Box, name: str) -> str:
    """What `rauc install` says, with its status in the last line."""
    box.check("mkdir -p /run/updates; mountpoint -q /run/updates || mount /dev/vdb /run/updates")
    return box.ask(f"rauc install /run/updates/{name}.raucb", seconds=_PATIENCE)


def kept(box: Box) -> list[str]:
    """What must outlive every update: an object, a change of /etc, a key; with their hashes."""
    places = "/etc/kept /var/lib/gantry/archive/main/objects /var/lib/gantry/keys"
    return box.check(f"find {places} -type f | sort | xargs sha256sum").splitlines()


def sample_file(folder: Path) -> Path:
    """An object to send."""
    path = folder / "sample.dcm"
    made = sample()
    path.write_bytes(made.meta + made.data_set)
    return path


def test_a_new_card_comes_up_and_answers_an_echo(box: Box, port: int) -> None:
    box.wait_until("systemctl is-active gantry.service", seconds=_PATIENCE)
    assert echo(port) == 0
    wait_until_confirmed(box)
    assert slot(box) == "A"
    assert {"ORDER=A B", "A_OK=1", "A_TRY=0"} <= counters(box)
    assert box.check("systemctl --failed --no-legend --plain") == ""


def test_the_root_cannot_be_written_and_the_data_take_the_card(box: Box) -> None:
    assert box.check("findmnt -no FSTYPE,OPTIONS /").startswith("squashfs ro")
    assert box.check("findmnt -no FSTYPE /etc") == "overlay"
    size = int(box.check("df --output=size -B1 /var | tail -1"))
    assert size > 1.5 * 2**30


def test_there_are_data_to_keep(box: Box, port: int, tmp_path: Path) -> None:
    storescu(port, sample_file(tmp_path), seconds=120.0).check()
    box.check("cd /; runuser -u gantry -- gantry keys create box")
    box.check("echo kept >/etc/kept; sync")
    found = kept(box)
    print(found)
    assert len(found) > 2


def test_only_what_is_served_comes_in(box: Box) -> None:
    rules = box.check("nft list ruleset")
    assert "tcp dport 11112 accept" in rules
    assert rules.count("policy drop") == 2
    assert box.check("cat /proc/sys/net/ipv4/ip_forward") == "0"
    groups = box.check("ip -o link show group 1")
    assert groups.count("\n") == 0 and "link/ether" in groups


def test_the_system_at_rest_fits_into_128_mib(box: Box) -> None:
    used = box.check("free -b | awk '/Mem/ {print $2 - $7}'")
    print(f"memory in use at rest: {int(used) / 2**20:.0f} MiB")
    assert int(used) < 128 * 2**20


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("stranger", "signature verification failed"),
        ("changed", "signature"),
        ("cut", "signature"),
    ],
)
def test_a_bundle_without_our_signature_is_refused(box: Box, name: str, said: str) -> None:
    answer = install(box, name)
    assert answer.splitlines()[-1].strip() != "0"
    assert said in answer.lower()
    # Before anything was written, and before the boot loader was told.
    assert {"ORDER=A B", "A_OK=1", "B_OK=0"} <= counters(box)


def test_a_bundle_with_a_flipped_byte_is_refused_where_it_is_read(box: Box) -> None:
    assert install(box, "flipped").splitlines()[-1].strip() != "0"
    assert {"ORDER=A B", "A_OK=1", "B_OK=0"} <= counters(box)


def test_an_update_goes_into_the_other_slot_and_is_confirmed(box: Box, port: int) -> None:
    before = kept(box)
    assert install(box, "good").splitlines()[-1].strip() == "0"
    box.until_started_anew("systemctl reboot", seconds=_PATIENCE)
    wait_until_confirmed(box)
    assert slot(box) == "B"
    assert {"ORDER=B A", "B_OK=1", "B_TRY=0"} <= counters(box)
    assert kept(box) == before
    assert echo(port) == 0


def test_a_slot_that_cannot_be_read_gives_way(box: Box, port: int) -> None:
    before = kept(box)
    assert install(box, "unreadable").splitlines()[-1].strip() == "0"
    box.until_started_anew("systemctl reboot", seconds=_PATIENCE)
    wait_until_confirmed(box)
    assert slot(box) == "B"
    assert "A_TRY=3" in counters(box)
    assert "Slot A cannot be started" in box.said()
    assert kept(box) == before
    assert echo(port) == 0


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("node", "gantry.service did not run"),
        ("codecs", "the C kernels of the codecs are here and cannot be loaded"),
    ],
)
def test_a_slot_that_starts_and_is_no_good_is_given_up(
    box: Box, port: int, name: str, why: str
) -> None:
    before = kept(box)
    assert install(box, name).splitlines()[-1].strip() == "0"
    assert "ORDER=A B" in counters(box)
    box.until_started_anew("systemctl reboot", seconds=_PATIENCE)
    assert slot(box) == "A"
    box.wait_for_another_boot(box.boot(), seconds=_PATIENCE)
    wait_until_confirmed(box)
    assert slot(box) == "B"
    assert "A_OK=0" in counters(box)
    said = box.check("journalctl --boot=-1 --unit=gantry-healthy.service --output=cat")
    assert "slot A is not good" in said and why in said
    assert kept(box) == before
    assert echo(port) == 0


def test_a_new_slot_that_cannot_read_the_configuration_is_given_up(box: Box, port: int) -> None:
    before = kept(box)
    assert install(box, "good").splitlines()[-1].strip() == "0"
    # What the new version cannot read, the old one could: here both are the same, so that the one
    # that was confirmed before is let off, and the new one is not.
    box.check("cp -p /etc/gantry/gantry.toml /var/good; echo nonsense >/etc/gantry/gantry.toml")
    box.until_started_anew("systemctl reboot", seconds=_PATIENCE)
    assert slot(box) == "A"
    box.wait_for_another_boot(box.boot(), seconds=_PATIENCE)
    assert slot(box) == "B"
    assert "A_OK=0" in counters(box)
    box.check("cp -p /var/good /etc/gantry/gantry.toml; systemctl restart gantry.service")
    assert echo(port) == 0
    assert kept(box) == before
