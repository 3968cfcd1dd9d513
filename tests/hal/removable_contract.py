"""What every driver of removable media owes its owner: subclassed per driver, with the hand that
plugs and pulls, and puts discs into the drive.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from hal.removable.base import (
    MediaEvent,
    Medium,
    MediumBusy,
    MediumCame,
    MediumFull,
    MediumGone,
    MediumIgnored,
    MediumWent,
    NotMountable,
    RemovableMedia,
    WriteProtected,
    let_go,
    mount,
    mounted_before,
    need,
    release,
    space,
    unmount,
)

FILES = {"DICOMDIR": b"the directory", "IMAGES/IM1": bytes(range(256)) * 40}
SEEN = TypeVar("SEEN", bound=MediaEvent)


class RemovableContract:
    seconds = 2.0
    """Within which what was done is told."""

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> Iterator[None]:
        self.tmp_path = tmp_path
        self.at = str(tmp_path / "mounted")
        self.told: list[MediaEvent] = []
        self.clear()
        yield
        self.clear()

    def make(self, **options: Any) -> RemovableMedia:
        raise NotImplementedError

    def clear(self) -> None:
        """Pull everything, and take the disc out."""
        raise NotImplementedError

    def plug(
        self, name: str, files: dict[str, bytes], *, protected: bool = False, blank: bool = False
    ) -> None:
        """A stick of 8 MB with this label and serial number; without a file system if blank."""
        raise NotImplementedError

    def pull(self, name: str) -> None:
        raise NotImplementedError

    def insert(self, label: str, files: dict[str, bytes]) -> None:
        """Put a disc into the drive."""
        raise NotImplementedError

    def take_out(self) -> None:
        raise NotImplementedError

    @pytest.fixture
    def media(self) -> Iterator[RemovableMedia]:
        made = self.make()
        made.open()
        yield made
        made.close()

    def until(
        self, media: RemovableMedia, wanted: type[SEEN], fits: Callable[[SEEN], bool] | None = None
    ) -> SEEN:
        """The first event of this kind that fits; those before it are passed over."""
        end = time.monotonic() + self.seconds
        passed: list[MediaEvent] = []
        while time.monotonic() < end:
            self.told += media.events()
            while self.told:
                event = self.told.pop(0)
                if isinstance(event, wanted) and (fits is None or fits(event)):
                    return event
                passed.append(event)
            assert media.descriptor is not None
            select.select([media.descriptor], [], [], 0.05)
        raise AssertionError(f"{wanted.__name__} was not told, but {passed}")

    def came(self, media: RemovableMedia, label: str = "STICK") -> Medium:
        return self.until(media, MediumCame, lambda event: event.medium.label == label).medium

    def went(self, media: RemovableMedia) -> MediumWent:
        return self.until(media, MediumWent)

    def test_a_stick_that_is_there_already_is_told(self) -> None:
        self.plug("STICK", FILES)
        media = self.make()
        media.open()
        assert media.deadline() is not None
        medium = self.came(media)
        assert media.deadline() is None
        assert media.media == (medium,)
        media.close()

    def test_what_is_known_of_a_stick(self, media: RemovableMedia) -> None:
        self.plug("STICK", FILES)
        medium = self.came(media)
        assert (medium.label, medium.serial, medium.bus) == ("STICK", "STICK", "usb")
        assert (medium.file_system, medium.read_only) == ("vfat", False)
        assert (medium.optical, medium.blank) == (False, False)
        assert 7_000_000 < medium.size < 9_000_000
        assert medium.name == "STICK"

    def test_files_are_read(self, media: RemovableMedia) -> None:
        self.plug("STICK", FILES)
        mounted = mount(self.came(media), self.at)
        assert mounted.read_only
        assert {
            str(path.relative_to(mounted.path)): path.read_bytes()
            for path in Path(mounted.path).rglob("*")
            if path.is_file()
        } == FILES
        unmount(mounted)
        unmount(mounted)

    def test_what_was_written_is_there_when_it_comes_again(self, media: RemovableMedia) -> None:
        self.plug("STICK", {})
        medium = self.came(media)
        mounted = mount(medium, self.at, read_only=False)
        (Path(mounted.path) / "IMAGES").mkdir()
        (Path(mounted.path) / "IMAGES" / "IM2").write_bytes(b"new" * 100_000)
        unmount(mounted)
        release(medium)
        self.pull("STICK")
        self.went(media)
        assert media.media == ()
        self.plug("STICK", {})
        again = self.came(media)
        assert again.id == medium.id
        mounted = mount(again, self.at)
        assert (Path(mounted.path) / "IMAGES" / "IM2").read_bytes() == b"new" * 100_000
        unmount(mounted)

    def test_a_stick_that_goes_is_told_with_the_reason(self, media: RemovableMedia) -> None:
        self.plug("STICK", FILES)
        medium = self.came(media)
        self.pull("STICK")
        gone = self.went(media)
        assert (gone.medium, gone.why, gone.mounted_at) == (medium, "it was pulled", "")
        with pytest.raises(MediumGone):
            mount(medium, self.at)
        with pytest.raises(MediumGone):
            release(medium)

    def test_pulled_while_a_file_on_it_is_written(self, media: RemovableMedia) -> None:
        self.plug("STICK", FILES)
        medium = self.came(media)
        mounted = mount(medium, self.at, read_only=False)
        with (Path(mounted.path) / "HALF").open("wb", buffering=0) as file:
            file.write(b"half" * 1000)
            self.pull("STICK")
            gone = self.went(media)
            assert gone.why == "it was pulled while it was mounted"
            assert gone.mounted_at == mounted.path
            let_go(mounted)
            with pytest.raises(OSError):
                (Path(mounted.path) / "MORE").write_bytes(b"more")
        let_go(mounted)
        with pytest.raises(MediumGone):
            space(mounted)
        self.plug("STICK", {})
        mounted = mount(self.came(media), self.at)
        unmount(mounted)

    def test_it_stays_while_a_file_is_open(self, media: RemovableMedia) -> None:
        self.plug("STICK", FILES)
        mounted = mount(self.came(media), self.at)
        with (Path(mounted.path) / "DICOMDIR").open("rb"):
            with pytest.raises(MediumBusy, match="close it"):
                unmount(mounted)
            assert (Path(mounted.path) / "DICOMDIR").exists()
        unmount(mounted)

    def test_it_is_not_mounted_twice_nor_released_while_it_is(self, media: RemovableMedia) -> None:
        self.plug("STICK", FILES)
        medium = self.came(media)
        mounted = mount(medium, self.at)
        with pytest.raises(MediumBusy, match="already"):
            mount(medium, self.at + "2")
        with pytest.raises(MediumBusy, match="unmount it first"):
            release(medium)
        unmount(mounted)
        release(medium)

    def test_who_was_killed_finds_again_what_was_mounted(self, media: RemovableMedia) -> None:
        self.plug("STICK", FILES)
        medium = self.came(media)
        assert mounted_before(medium, self.at) is None
        for read_only in (True, False):
            mounted = mount(medium, self.at, read_only=read_only)
            assert mounted_before(medium, self.at) == mounted
            unmount(mounted)
        assert mounted_before(medium, self.at) is None

    def test_a_protected_stick_is_read_and_not_written(self, media: RemovableMedia) -> None:
        self.plug("STICK", FILES, protected=True)
        medium = self.came(media)
        assert medium.read_only
        with pytest.raises(WriteProtected, match="STICK"):
            mount(medium, self.at, read_only=False)
        mounted = mount(medium, self.at)
        assert (Path(mounted.path) / "DICOMDIR").read_bytes() == FILES["DICOMDIR"]
        with pytest.raises(WriteProtected):
            need(mounted, 1)
        unmount(mounted)

    def test_a_full_stick_says_so(self, media: RemovableMedia) -> None:
        self.plug("STICK", {"FILLING": bytes(6_000_000)})
        mounted = mount(self.came(media), self.at, read_only=False)
        found = space(mounted)
        assert 7_000_000 < found.capacity < 9_000_000
        assert 1_000_000 < found.free < 3_000_000
        need(mounted, 500_000)
        with pytest.raises(MediumFull, match="4000000 are needed"):
            need(mounted, 4_000_000)
        unmount(mounted)

    def test_a_stick_without_a_file_system_is_told_and_not_mounted(
        self, media: RemovableMedia
    ) -> None:
        self.plug("STICK", {}, blank=True)
        medium = self.until(media, MediumCame).medium
        assert medium.file_system == "" and not medium.blank
        with pytest.raises(NotMountable, match="no file system"):
            mount(medium, self.at)
        assert not Path(self.at).exists()

    def test_rules_say_what_may_be_touched(self) -> None:
        media = self.make(rules=[{"serial": "OUR*"}, {"permit": False, "bus": "usb"}])
        media.open()
        self.plug("OURS", FILES)
        self.came(media, "OURS")
        self.plug("THEIRS", FILES)
        ignored = self.until(media, MediumIgnored, lambda event: event.medium.serial == "THEIRS")
        assert "a rule refuses THEIRS" in ignored.why
        self.pull("THEIRS")
        self.pull("OURS")
        assert self.went(media).medium.label == "OURS"
        media.close()

    def test_a_disc_is_read_by_the_names_that_a_dicomdir_has(self, media: RemovableMedia) -> None:
        self.insert("DISC", FILES)
        medium = self.came(media, "DISC")
        assert (medium.optical, medium.blank, medium.read_only) == (True, False, True)
        assert medium.file_system == "iso9660"
        with pytest.raises(WriteProtected):
            mount(medium, self.at, read_only=False)
        mounted = mount(medium, self.at)
        for name, content in FILES.items():
            assert (Path(mounted.path) / name).read_bytes() == content
        assert space(mounted).free == 0
        unmount(mounted)
        assert not Path(self.at).exists()
        release(medium)
        assert self.went(media).medium == medium

    def test_a_disc_is_known_again_and_told_from_others(self, media: RemovableMedia) -> None:
        self.insert("ONE", FILES)
        one = self.came(media, "ONE")
        self.take_out()
        assert self.went(media).mounted_at == ""
        self.insert("OTHER", FILES)
        assert self.came(media, "OTHER").id != one.id
        self.take_out()
        self.went(media)
        self.insert("ONE", FILES)
        assert self.came(media, "ONE").id == one.id

    def test_two_media_at_once(self, media: RemovableMedia) -> None:
        self.plug("ONE", FILES)
        one = self.came(media, "ONE")
        self.plug("OTHER", FILES)
        other = self.came(media, "OTHER")
        assert one.id != other.id
        first = mount(one, self.at)
        second = mount(other, self.at + "2")
        self.pull("ONE")
        assert self.went(media).mounted_at == first.path
        assert (Path(second.path) / "DICOMDIR").exists()
        let_go(first)
        unmount(second)
        assert media.media == (other,)

    def test_close_is_always_right_and_open_can_follow(self) -> None:
        media = self.make()
        media.close()
        assert media.events() == [] and media.deadline() is None and media.descriptor is None
        media.open()
        media.open()
        media.close()
        media.close()
        assert media.descriptor is None
        media.open()
        self.plug("STICK", FILES)
        self.came(media)
        descriptor = media.descriptor
        assert descriptor is not None
        os.fstat(descriptor)
        media.close()
        with pytest.raises(OSError):
            os.fstat(descriptor)
