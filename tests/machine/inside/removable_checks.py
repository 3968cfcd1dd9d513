"""Removable media on a real kernel, with a real udev: sticks on USB and discs in a drive.

Who plugs and pulls is outside: tests/machine/plugging.py.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hal.removable.base import (
    EjectPressed,
    Medium,
    MediumCame,
    MediumIgnored,
    MediumWent,
    NotMountable,
    NotWritten,
    RemovableMedia,
    WriteProtected,
    let_go,
    mount,
    open_driver,
    release,
    unmount,
)
from hal.removable.mounts import mounts
from hal.removable.optical import DriveStatus, eject, look_into
from tests.hal.removable_contract import FILES, RemovableContract
from tests.machine.plugging import ask, lay_out

SHARED = Path("/tmp/results/plugging")


class TestRealKernel(RemovableContract):
    seconds = 20.0

    def make(self, **options: Any) -> RemovableMedia:
        return open_driver("block-devices", **options)

    def clear(self) -> None:
        for each in reversed(mounts()):
            if each.source.startswith(("/dev/sd", "/dev/sr")):
                subprocess.run(["umount", "-l", each.path], check=False)
        ask(SHARED, act="clear")
        # What was pulled has gone from the kernel before the next test begins.
        end = time.monotonic() + 10
        while list(Path("/sys/block").glob("sd*")) and time.monotonic() < end:
            time.sleep(0.1)
        # QEMU's drive does not tell of a disc that is taken from it by force.
        subprocess.run(["udevadm", "trigger", "--action=change", "/dev/sr0"], check=True)
        subprocess.run(["udevadm", "settle"], check=True)

    def plug(
        self,
        name: str,
        files: dict[str, bytes],
        *,
        protected: bool = False,
        blank: bool = False,
        file_system: str = "vfat",
        **words: Any,
    ) -> None:
        lay_out(SHARED / "files", files)
        kind = "" if blank else file_system
        request = {"name": name, "files": "files", "protected": protected, "file_system": kind}
        ask(SHARED, act="plug", **request, **words)

    def pull(self, name: str) -> None:
        ask(SHARED, act="pull", name=name)

    def insert(self, label: str, files: dict[str, bytes], **words: Any) -> None:
        lay_out(SHARED / "files", files)
        ask(SHARED, act="insert", label=label, files="files", **words)

    def take_out(self) -> None:
        ask(SHARED, act="press_the_button")

    def test_the_disk_of_the_system_is_ignored(self) -> None:
        media = self.make(rules=[{"label": "*"}, {"serial": "*"}])
        media.open()
        ignored = self.until(
            media, MediumIgnored, lambda event: event.medium.device.startswith("/dev/vda")
        )
        assert "the running system" in ignored.why
        assert all(not medium.device.startswith("/dev/vd") for medium in media.media)
        media.close()

    def test_a_stick_with_a_partition(self, media: RemovableMedia) -> None:
        self.plug("PARTED", FILES, partition=True)
        medium = self.came(media, "PARTED")
        assert medium.device == f"{medium.disk}1"
        mounted = mount(medium, self.at)
        assert (Path(mounted.path) / "DICOMDIR").read_bytes() == FILES["DICOMDIR"]
        self.pull("PARTED")
        assert self.went(media).mounted_at == mounted.path
        let_go(mounted)
        assert not Path(self.at).exists()

    def test_names_of_dicom_are_written_without_long_ones(self, media: RemovableMedia) -> None:
        self.plug("NAMES", {})
        mounted = mount(self.came(media, "NAMES"), self.at, read_only=False)
        (Path(mounted.path) / "DICOMDIR").write_bytes(b"x")
        (Path(mounted.path) / "IMAGE_01").write_bytes(b"x")
        unmount(mounted)
        listing = ask(SHARED, act="listing", name="NAMES")
        lines = [line for line in listing.splitlines() if line.startswith(("DICOMDIR", "IMAGE_01"))]
        # mdir shows a long name, where there is one, after the time.
        assert len(lines) == 2 and all(line.split()[-1].count(":") == 1 for line in lines), listing

    @pytest.mark.parametrize("file_system", ["vfat", "ext4", "exfat"])
    def test_reading_writes_nothing(self, media: RemovableMedia, file_system: str) -> None:
        self.plug("STICK", {"A": b"content"}, file_system=file_system)
        medium = self.came(media)
        assert medium.file_system == file_system
        before = ask(SHARED, act="digest", name="STICK")
        mounted = mount(medium, self.at)
        if file_system != "exfat":
            assert (Path(mounted.path) / "A").read_bytes() == b"content"
        with pytest.raises(OSError):
            (Path(mounted.path) / "B").write_bytes(b"no")
        unmount(mounted)
        release(medium)
        assert ask(SHARED, act="digest", name="STICK") == before

    def test_a_kernel_that_does_not_know_a_file_system_says_so(self, media: RemovableMedia) -> None:
        self.plug("STICK", {"A": b"content"}, file_system="ntfs")
        medium = self.came(media)
        assert medium.file_system == "ntfs"
        with pytest.raises(NotMountable, match="does not know ntfs"):
            mount(medium, self.at)
        assert not Path(self.at).exists()

    @pytest.mark.parametrize("file_system", ["ext4", "exfat"])
    def test_other_file_systems_are_written(self, media: RemovableMedia, file_system: str) -> None:
        self.plug("STICK", {}, file_system=file_system)
        mounted = mount(self.came(media), self.at, read_only=False)
        (Path(mounted.path) / "IM1").write_bytes(b"x" * 100_000)
        unmount(mounted)
        self.pull("STICK")
        self.went(media)
        self.plug("STICK", {})
        mounted = mount(self.came(media), self.at)
        assert (Path(mounted.path) / "IM1").read_bytes() == b"x" * 100_000
        unmount(mounted)

    def test_nothing_on_a_medium_does_harm(self, media: RemovableMedia) -> None:
        self.plug("STICK", {}, file_system="ext4")
        medium = self.came(media)
        os.mkdir(self.at)  # noqa: PTH102
        # As its maker, who has all rights on it, would have prepared it.
        subprocess.run(["mount", medium.device, self.at], check=True)
        at = Path(self.at)
        (at / "secret").symlink_to("/etc/passwd")
        (at / "program").write_text("#!/bin/sh\necho harm\n")
        (at / "program").chmod(0o4755)
        os.mknod(at / "memory", stat.S_IFCHR | 0o666, os.makedev(1, 5))
        subprocess.run(["umount", self.at], check=True)
        mounted = mount(medium, self.at)
        for name, act in (
            ("secret", lambda path: path.read_bytes()),
            ("program", lambda path: subprocess.run([path])),
            ("memory", lambda path: path.open("rb").close()),
        ):
            with pytest.raises(OSError):
                act(at / name)
        unmount(mounted)

    def test_the_kernel_finds_what_is_protected_too(self, media: RemovableMedia) -> None:
        self.plug("STICK", FILES, protected=True)
        medium = replace(self.came(media), read_only=False)
        with pytest.raises(WriteProtected, match="move its switch"):
            mount(medium, self.at, read_only=False)
        assert not Path(self.at).exists()

    def test_what_was_not_written_is_told(self, media: RemovableMedia) -> None:
        self.plug("STICK", {})
        mounted = mount(self.came(media), self.at, read_only=False)
        (Path(mounted.path) / "IM1").write_bytes(b"x" * 1_000_000)
        self.pull("STICK")
        with pytest.raises(NotWritten):
            unmount(mounted)
        let_go(mounted)

    def test_a_stick_that_is_released_says_so_itself(self, media: RemovableMedia) -> None:
        self.plug("STICK", FILES)
        medium = self.came(media)
        release(medium)
        assert isinstance(self.went(media), MediumWent)

    @pytest.mark.parametrize("words", [["-J"], ["-R"], ["-J", "-R"]])
    def test_discs_with_extensions_have_the_same_names(
        self, media: RemovableMedia, words: list[str]
    ) -> None:
        self.insert("DISC", FILES, words=words)
        mounted = mount(self.came(media, "DISC"), self.at)
        for name, content in FILES.items():
            assert (Path(mounted.path) / name).read_bytes() == content
        unmount(mounted)

    def test_a_disc_of_udf(self, media: RemovableMedia) -> None:
        ask(SHARED, act="insert_udf", label="UDFDISC")
        medium = self.came(media, "UDFDISC")
        assert (medium.file_system, medium.optical) == ("udf", True)
        assert look_into(medium.device).file_system == "udf"
        mounted = mount(medium, self.at)
        os.listdir(mounted.path)  # noqa: PTH208
        unmount(mounted)

    def test_a_drive_says_what_lies_in_it(self, media: RemovableMedia) -> None:
        self.insert("DISC", FILES)
        medium = self.came(media, "DISC")
        found = look_into(medium.device)
        assert (found.status, found.label) == (DriveStatus.CDS_DISC_OK, "DISC")
        assert found.has_data and not found.is_blank
        eject(medium.device)
        assert self.went(media).medium == medium
        assert look_into(medium.device).status in (
            *(DriveStatus.CDS_TRAY_OPEN, DriveStatus.CDS_NO_DISC),
        )

    def test_the_button_of_the_drive_is_told(self, media: RemovableMedia) -> None:
        self.insert("DISC", FILES)
        medium = self.came(media, "DISC")
        ask(SHARED, act="press_the_button")
        assert self.until(media, EjectPressed).medium == medium
        assert "button" in self.went(media).why


@pytest.fixture(scope="module")
def service() -> Iterator[None]:
    """udisks, as on a desktop or a box whose agent is not root."""
    Path("/run/dbus").mkdir(exist_ok=True)
    subprocess.run(["dbus-daemon", "--system", "--fork", "--nopidfile"], check=True)
    daemon = next(Path("/usr").glob("lib*/udisks2/udisksd"))
    child = subprocess.Popen([daemon], stdout=subprocess.DEVNULL)
    time.sleep(3)
    yield
    child.terminate()
    child.wait()


AS_ANOTHER = """
import os, sys, pathlib
from dataclasses import replace
os.setgid(65534); os.setuid(int(sys.argv[1]))
from hal.removable import base, kernel_mount
kernel_mount.may_mount = lambda: False
media = base.open_driver("block-devices")
media.open()
(medium,) = [replace(each, read_only=False) for each in media.media if each.serial == "STICK"]
try:
    mounted = base.mount(medium, "/nowhere", read_only=sys.argv[2] == "ro")
    print("mounted", (pathlib.Path(mounted.path) / "DICOMDIR").read_bytes())
    try:
        base.mount(medium, "/nowhere")
    except base.MediumBusy:
        print("busy")
    with open(mounted.path + "/DICOMDIR"):
        try:
            base.unmount(mounted)
        except base.MediumBusy:
            print("in use")
    base.unmount(mounted)
    base.unmount(mounted)
    print("unmounted")
except base.MediaError as error:
    print(type(error).__name__, error)
"""


class TestUdisks:
    @pytest.fixture(autouse=True)
    def _clear(self) -> Iterator[None]:
        self.hand = TestRealKernel()
        self.hand.told = []
        self.hand.clear()
        yield
        self.hand.clear()

    def said(self, user: int, *, way: str = "ro", **words: Any) -> str:
        """What a program of this user, who may not mount, finds on a stick."""
        self.hand.plug("STICK", FILES, **words)
        media = self.hand.make()
        media.open()
        self.hand.until(media, MediumCame)
        media.close()
        command = [sys.executable, "-c", AS_ANOTHER, str(user), way]
        done = subprocess.run(command, capture_output=True, text=True)
        return done.stdout + done.stderr

    def test_without_the_service_that_is_told(self) -> None:
        assert self.said(65534).startswith("NotAllowed udisks cannot be asked to mount STICK")

    @pytest.mark.parametrize("way", ["ro", "rw"])
    def test_it_mounts_for_one_whom_polkit_permits(self, service: None, way: str) -> None:
        lines = self.said(0, way=way).splitlines()
        assert lines == [f"mounted {FILES['DICOMDIR']!r}", "busy", "in use", "unmounted"]

    def test_it_is_told_where_it_does_not(self, service: None) -> None:
        said = self.said(65534)
        assert said.startswith("NotAllowed") and "polkit" in said

    def test_a_protected_stick_is_not_mounted_for_writing(self, service: None) -> None:
        assert self.said(0, way="rw", protected=True).startswith("WriteProtected")

    def test_a_stick_without_a_file_system_is_not_mounted(self, service: None) -> None:
        assert self.said(0, blank=True).startswith("NotMountable")


def test_a_medium_is_plain_data() -> None:
    """It goes to a worker and back."""
    import pickle

    medium = Medium("block-devices", "1", "/dev/sdx", "usb")
    assert pickle.loads(pickle.dumps(MediumCame(1.0, medium))).medium == medium
