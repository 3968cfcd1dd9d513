"""The card for arm64 does its work: set up by gantry.conf, spoken to, and compared with amd64.

The machine is QEMU's `virt` with UEFI, in emulation; a stick is in its USB port, and what a test
brings along is on a disk of its own. The codecs' results are held against those of this machine,
which runs the same checkout. Packages and images: `tests/machine/test_card.py`.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import zlib
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.fileset import FileSet

from agent.codecs.registry import available, has_kernel
from agent.dataset.transfer_syntaxes import TRANSFER_SYNTAXES
from image.boards import BOARDS
from image.partitions import layout, records_of_mbr
from tests.machine.card import FIRMWARE, Box, Disk
from tests.machine.test_card import built, counters, slot, wait_until_confirmed
from tests.peers.programs import missing, program, run

pytestmark = [pytest.mark.machine, pytest.mark.timeout(7200)]

ROOT = Path(__file__).parents[2]
BOARD = BOARDS["arm64"]
TITLE = "ARM_BOX"
SETTINGS = f"""title = "{TITLE}"
port = 104
hostname = "arm-box"
callers = ["ECHOSCU", "STORESCU"]
"""
IMAGES = (
    *("CT_small.dcm", "MR_small.dcm", "MR_small_RLE.dcm", "SC_rgb_small_odd.dcm"),
    *("SC_rgb_jpeg_dcmtk.dcm", "SC_rgb_rle_2frame.dcm", "SC_ybr_full_422_uncompressed.dcm"),
    *("JPEGLSNearLossless_16.dcm", "JPGExtended.dcm", "examples_ybr_color.dcm", "image_dfl.dcm"),
)
"""Of pydicom: grey and colour, signed and not, 8 to 16 bits, native and compressed by others."""
SENT = ("CT_small.dcm", "MR_small.dcm", "SC_rgb_small_odd.dcm")
NATIVE = ("implicit", "explicit", "deflated")
OF_ZLIB = ("deflated", "deflated-frame")
"""Their streams differ from one zlib to the next."""
CODE = (
    *("tests/__init__.py", "tests/codecs/__init__.py", "tests/codecs/frames.py"),
    *("tests/cross/__init__.py", "tests/cross/inside/__init__.py"),
    *("tests/cross/inside/round_trips.py", "tests/machine/inside/conversions.py"),
)
_SLOW = "[Service]\nTimeoutStartSec=15min\nWatchdogSec=5min\n"
_PATIENCE = 1200.0
"""For a start in emulation, beside others."""


@pytest.fixture(scope="module")
def brought(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disk (squashfs) with images, the code that runs inside, and an update."""
    if os.geteuid():
        pytest.skip("only root can make an image")
    folder = tmp_path_factory.mktemp("brought")
    tree = folder / "tree"
    (tree / "images").mkdir(parents=True)
    for name in IMAGES:
        path = get_testdata_file(name, download=False)
        assert isinstance(path, str), name
        shutil.copy(path, tree / "images")
    for name in CODE:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tree / name)
    disk = folder / "disk.squashfs"
    shutil.copy(built(BOARD).bundle, tree / "update.raucb")
    run(["mksquashfs", tree, disk, "-noD", "-noI", "-quiet"], seconds=300.0).check()
    return disk


@pytest.fixture(scope="module")
def stick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stick of 32 MiB with FAT and nothing on it."""
    image = tmp_path_factory.mktemp("stick") / "stick.img"
    with image.open("wb") as file:
        file.truncate(32 << 20)
    run(["mkfs.vfat", "-n", "STICK", image], seconds=60.0).check()
    return image


@pytest.fixture(scope="module")
def port() -> int:
    """A free port of the host, which leads to the box's 104."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        number: int = found.getsockname()[1]
        return number


@pytest.fixture(scope="module")
def box(
    brought: Path, stick: Path, port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Box]:
    """The card at its first start, as an engineer leaves it: only gantry.conf was edited."""
    firmware = FIRMWARE[BOARD.debian]
    if not firmware.code.exists():
        missing("UEFI for arm64", f"apt-get install {firmware.package}")
    folder = tmp_path_factory.mktemp("box")
    disk = Disk(BOARD, built(BOARD).card, folder)
    slow = "systemd/system/gantry.service.d"
    disk.put_shell(folder, {slow: None, f"{slow}/slow.conf": _SLOW})
    edit_settings(disk.path, folder)
    devices = (
        *("-drive", f"file={brought},if=virtio,format=raw,readonly=on"),
        *("-device", "qemu-xhci", "-drive", f"if=none,id=stick,format=raw,file={stick}"),
        *("-device", "usb-storage,drive=stick,removable=true"),
    )
    with Box(BOARD, disk, folder, ports={port: 104}, devices=devices) as running:
        yield running


def is_comparable(box: Box, syntax: str) -> bool:
    """Whether both machines must make the same of it."""
    asked = "python3 -c 'import zlib; print(zlib.ZLIB_RUNTIME_VERSION)'"
    return syntax not in OF_ZLIB or box.check(asked) == zlib.ZLIB_RUNTIME_VERSION


def mount(box: Box) -> None:
    """What was brought along is in /run/rig."""
    box.check("mkdir -p /run/rig; mountpoint -q /run/rig || mount -o ro /dev/vdb /run/rig")


def edit_settings(disk: Path, folder: Path) -> None:
    """Do with gantry.conf what an engineer does: add a few lines to the text that is there."""
    inside = ("-i", f"{disk}@@{layout(BOARD)[0].start}")
    text = folder / "gantry.conf"
    run(["mcopy", *inside, "::gantry.conf", text], seconds=60.0).check()
    head, rest = text.read_bytes().decode().split("[network]")
    text.write_bytes(f"{head}{SETTINGS}[network]{rest}".encode())
    run(["mcopy", "-o", *inside, text, "::gantry.conf"], seconds=60.0).check()


def dcmtk(name: str, port: int, *words: str | Path) -> str:
    """What a program of DCMTK says that has called the box, with success."""
    patience = ("-to", "60", "-ta", "60", "-td", "60", "-v")
    command = [program("dcmtk", name), *patience, "-aec", TITLE, "127.0.0.1", str(port), *words]
    return run(command, seconds=300.0).check().output


def test_a_card_that_was_set_up_by_gantry_conf_answers_an_echo(box: Box, port: int) -> None:
    box.wait_until("systemctl is-active gantry.service", seconds=_PATIENCE)
    assert "Received Echo Response (Success)" in dcmtk("echoscu", port)
    print("started in", box.check("cut -d. -f1 /proc/uptime"), "s or less, emulated")
    assert box.check("uname -m; cat /proc/sys/kernel/hostname") == "aarch64\narm-box"
    assert f'title = "{TITLE}"' in box.check("cat /etc/gantry/gantry.toml")
    assert "set up" in box.check("cat /boot/efi/gantry-report.txt")
    wait_until_confirmed(box)
    assert box.check("systemctl --failed --no-legend --plain") == ""
    # The kernel finds the serial line by what the firmware says.
    assert "ttyAMA0" in box.check("cat /sys/class/tty/console/active").split()


def test_the_system_at_rest_fits_into_128_mib(box: Box) -> None:
    used = int(box.check("free -b | awk '/Mem/ {print $2 - $7}'"))
    print(f"memory in use at rest: {used / 2**20:.0f} MiB")
    assert used < 128 * 2**20


def test_the_data_take_the_card_and_the_boot_rom_still_finds_its_partition(box: Box) -> None:
    assert int(box.check("df --output=size -B1 /var | tail -1")) > 1.5 * 2**30
    records = box.check("dd if=/dev/card/disk bs=1 skip=446 count=64 status=none | base64")
    assert base64.b64decode(records) == records_of_mbr(BOARD)


def test_every_codec_does_the_same_as_on_this_machine(box: Box) -> None:
    if not has_kernel():
        pytest.skip("the kernels were not built here")
    mount(box)
    script = (
        "cd /run/rig && PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=/usr/lib/gantry/packages:/run/rig"
        " python3 -s tests/cross/inside/round_trips.py && echo"
    )
    theirs = json.loads(box.check(script, seconds=_PATIENCE))
    done = subprocess.run(
        [sys.executable, ROOT / "tests/cross/inside/round_trips.py"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        check=True,
    )
    ours = json.loads(done.stdout)
    assert (theirs["machine"], theirs["kernel"]) == ("aarch64", True)
    assert theirs["package"].startswith("/usr/lib/gantry/packages/")
    assert list(theirs["syntaxes"]) == list(available())
    for uid, found in theirs["syntaxes"].items():
        assert len(found["round_trips"]) > 10, uid
        if is_comparable(box, TRANSFER_SYNTAXES[uid].short_name):
            assert found == ours["syntaxes"][uid], TRANSFER_SYNTAXES[uid].name


def test_images_are_converted_into_the_same_files_as_on_this_machine(
    box: Box, brought: Path, tmp_path: Path
) -> None:
    if not has_kernel():
        pytest.skip("the kernels were not built here")
    syntaxes = ",".join((*NATIVE, *(TRANSFER_SYNTAXES[each].short_name for each in available())))
    mount(box)
    script = (
        "cd /run/rig && rm -rf /var/tmp/converted &&"
        f" python3 tests/machine/inside/conversions.py /var/tmp/converted {syntaxes} gantry && echo"
    )
    theirs = json.loads(box.check(script, seconds=_PATIENCE))
    done = subprocess.run(
        [
            *(sys.executable, ROOT / "tests/machine/inside/conversions.py", tmp_path / "converted"),
            *(syntaxes, sys.executable, "-m", "agent.cli.main"),
        ],
        cwd=brought.parent / "tree",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        check=True,
    )
    ours: Mapping[str, Any] = json.loads(done.stdout)
    assert list(theirs) == list(ours)
    for syntax, expected in ours.items():
        assert expected["files"], syntax
        if is_comparable(box, syntax):
            assert theirs[syntax] == expected, syntax


def test_what_is_sent_to_it_is_kept(box: Box, port: int, brought: Path) -> None:
    images = brought.parent / "tree" / "images"
    said = dcmtk("storescu", port, *(images / name for name in SENT))
    assert said.count("Received Store Response (Success)") == len(SENT)
    kept = box.check("find /var/lib/gantry -name '*.dcm'").split()
    assert len(kept) == len(SENT)
    found = {}
    for path in kept:
        data = base64.b64decode(box.check(f"base64 {path}"))
        instance = pydicom.dcmread(BytesIO(data))
        found[instance.SOPInstanceUID] = instance
    for name in SENT:
        sent = pydicom.dcmread(images / name)
        assert found[sent.SOPInstanceUID].PixelData == sent.PixelData
        assert found[sent.SOPInstanceUID].PatientID == sent.PatientID


def test_what_it_has_is_exported_onto_a_stick(
    box: Box, stick: Path, brought: Path, tmp_path: Path
) -> None:
    sent = [pydicom.dcmread(brought.parent / "tree/images" / name) for name in SENT]
    studies = " ".join(f"--study {each.StudyInstanceUID}" for each in sent)
    as_gantry = "runuser -u gantry --"
    box.wait_until("test -b /dev/sda", seconds=120.0)
    said = box.check(f"{as_gantry} udisksctl mount --no-user-interaction -b /dev/sda")
    (place,) = re.findall(r" at (\S+?)\.?$", said)
    export = f"gantry export {place} {studies} --profile STD-GEN-USB-JPEG --wait"
    print(box.check(f"{as_gantry} {export}", seconds=_PATIENCE))
    box.check(f"{as_gantry} udisksctl unmount --no-user-interaction -b /dev/sda")
    run(["fsck.vfat", "-n", stick], seconds=60.0).check()
    run(["mcopy", "-s", "-n", "-i", stick, "::", tmp_path / "stick"], seconds=60.0).check()
    files = FileSet(tmp_path / "stick/DICOMDIR")
    found = {each.SOPInstanceUID: each.load() for each in files}
    assert set(found) == {each.SOPInstanceUID for each in sent}
    for each in sent:
        assert found[each.SOPInstanceUID].pixel_array.tobytes() == each.pixel_array.tobytes()
    judge = program("dicom3tools", "dcdirdmp")
    assert "IMAGE" in run([judge, "-v", tmp_path / "stick/DICOMDIR"], seconds=60.0).output


def test_an_update_is_installed_started_and_confirmed(box: Box, port: int) -> None:
    before = box.check("find /var/lib/gantry -name '*.dcm' | sort")
    mount(box)
    box.check("rauc install /run/rig/update.raucb", seconds=_PATIENCE)
    box.until_started_anew("systemctl reboot", seconds=_PATIENCE)
    wait_until_confirmed(box)
    assert slot(box) == "B"
    assert {"ORDER=B A", "B_OK=1", "B_TRY=0"} <= counters(box)
    assert box.check("find /var/lib/gantry -name '*.dcm' | sort") == before != ""
    assert "Received Echo Response (Success)" in dcmtk("echoscu", port)
