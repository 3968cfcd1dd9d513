"""The simulator of removable media keeps the contract; a shell can play the hand that plugs."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hal.removable.base import (
    DRIVERS,
    MediaTrouble,
    MediumCame,
    MediumGone,
    Mounted,
    RemovableMedia,
    WrongSettings,
    mount,
    open_driver,
    release,
    unmount,
)
from hal.removable.discs import burn, make_image
from hal.removable.simulator import SimulatedMedia
from tests.hal.removable_contract import FILES, RemovableContract
from tests.peers.programs import program


def write_files(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


class TestSimulatorKeepsTheContract(RemovableContract):
    @property
    def control(self) -> Path:
        return self.tmp_path / "plugged"

    @property
    def drawer(self) -> Path:
        """Where media lie that are not plugged in."""
        return self.tmp_path / "drawer"

    def make(self, **options: Any) -> RemovableMedia:
        return open_driver("simulator", folder=self.control, **options)

    def clear(self) -> None:
        for folder in (self.control, self.drawer):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()

    def plug(
        self, name: str, files: dict[str, bytes], *, protected: bool = False, blank: bool = False
    ) -> None:
        said = {"size": 8_000_000, "read_only": protected, "serial": name}
        said |= {"file_system": ""} if blank else {}
        (self.control / f"{name}.json").write_text(json.dumps(said))
        ejected = self.control / ".ejected" / name
        lying = ejected if ejected.exists() else self.drawer / name
        write_files(lying, files).rename(self.control / name)

    def pull(self, name: str) -> None:
        if (self.control / name).exists():
            (self.control / name).rename(self.drawer / name)

    def insert(self, label: str, files: dict[str, bytes]) -> None:
        program("xorriso", "xorriso")
        image = self.drawer / f"{label}.iso"
        make_image(str(write_files(self.tmp_path / "files", files)), str(image), label)
        image.rename(self.control / "DISC.iso")

    def take_out(self) -> None:
        (self.control / "DISC.iso").rename(self.drawer / "out.iso")

    def test_a_shell_plugs_and_pulls(self, media: RemovableMedia) -> None:
        write_files(self.drawer / "BY HAND", FILES)
        words = ["mv", str(self.drawer / "BY HAND"), str(self.control)]
        subprocess.run(words, check=True)
        self.came(media, "BY HAND")
        subprocess.run(["mv", str(self.control / "BY HAND"), str(self.drawer)], check=True)
        assert self.went(media).why == "it was pulled"

    def test_a_blank_disc_is_burnt_and_is_another_then(self, media: RemovableMedia) -> None:
        program("xorriso", "xorriso")
        (self.control / "DISC.iso").touch()
        blank = self.until(media, MediumCame).medium
        assert (blank.blank, blank.optical, blank.file_system) == (True, True, "")
        image = str(self.drawer / "image.iso")
        make_image(str(write_files(self.tmp_path / "files", FILES)), image, "BURNT")
        burn(image, blank.device)
        assert self.went(media).why == "what is on it is another now"
        burnt = self.came(media, "BURNT")
        assert not burnt.blank
        mounted = mount(burnt, self.at)
        assert (Path(mounted.path) / "DICOMDIR").read_bytes() == FILES["DICOMDIR"]
        unmount(mounted)

    def test_what_was_ejected_can_be_put_in_again(self, media: RemovableMedia) -> None:
        self.plug("STICK", FILES)
        medium = self.came(media)
        release(medium)
        assert self.went(media).why == "it was ejected"
        with pytest.raises(MediumGone):
            release(medium)
        self.plug("STICK", {})
        assert self.came(media).id == medium.id

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("{", "cannot be read"),
            ("[]", "no table"),
            ('{"colour": "red"}', "'colour'"),
            ('{"size": "8 MB"}', "no int"),
        ],
    )
    def test_a_wrong_description_is_told_once(
        self, media: RemovableMedia, text: str, said: str
    ) -> None:
        (self.control / "STICK.json").write_text(text)
        write_files(self.drawer / "STICK", FILES).rename(self.control / "STICK")
        assert said in self.until(media, MediaTrouble).why
        (self.control / "other").mkdir()
        self.came(media, "other")
        assert media.events() == []
        assert media.media[0].label == "other"

    def test_what_is_still_being_written_is_no_medium(self, media: RemovableMedia) -> None:
        program("xorriso", "xorriso")
        image = self.drawer / "image.iso"
        make_image(str(write_files(self.tmp_path / "files", FILES)), str(image), "SLOW")
        content = image.read_bytes()
        with (self.control / "DISC.iso").open("wb") as file:
            file.write(content[:40_000])
            file.flush()
            assert media.events() == []
            file.write(content[40_000:])
        assert self.came(media, "SLOW").size == len(content)


def test_the_driver_table_names_real_classes_and_says_what_there_is(tmp_path: Path) -> None:
    assert set(DRIVERS) == {"block-devices", "simulator"}
    assert isinstance(open_driver("simulator", folder=tmp_path), SimulatedMedia)
    with pytest.raises(WrongSettings, match="simulator"):
        open_driver("no such driver")
    with pytest.raises(WrongSettings, match="there is no setting colour"):
        open_driver("simulator", folder=tmp_path, colour="red")
    with pytest.raises(WrongSettings, match="there is no setting colour"):
        open_driver("simulator", folder=tmp_path, rules=[{"colour": "red"}])
    with pytest.raises(WrongSettings, match="cannot be watched"):
        (tmp_path / "file").touch()
        open_driver("simulator", folder=tmp_path / "file").open()


def test_a_step_for_what_is_not_mounted_does_nothing(tmp_path: Path) -> None:
    media = open_driver("simulator", folder=tmp_path)
    (tmp_path / "STICK").mkdir()
    media.open()
    (medium,) = media.media
    unmount(Mounted(medium, "/nowhere", True))
    media.close()
