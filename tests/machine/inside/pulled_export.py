"""Exports to a stick that is pulled, or fails, and is put back; what it holds at each moment."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from agent.dataset.whole_write import sync_file, sync_folder
from agent.errors import GantryError
from tests.machine.file_set_states import (
    FINISHED,
    LETTER,
    NEW,
    OLD,
    UNFINISHED,
    Expected,
    state_of,
)
from tests.machine.inside.pulled_box import (
    COUNT,
    NAME,
    SHARED,
    SIZE,
    Box,
    Desk,
    hand,
    kernel,
    lasts_now,
    moments,
    pull_count,
    report,
    until,
)

WHOLE = ("COMPLETED",)


class Export:
    """The same study goes out again and again, each time onto a stick that is made anew."""

    def __init__(self, box: Box, *, update: bool) -> None:
        self.box = box
        self.update = update
        self.desk = Desk(Path("/mnt/stick"))
        self.look = Path("/mnt/look")
        self.old: dict[str, str] = hand("study", number=1, count=COUNT // 2, size=SIZE)
        self.new: dict[str, str] = hand("study", number=2, count=COUNT, size=SIZE)
        (begun,) = box.ask("import-begin", root=str(SHARED / "studies" / "2"))["items"]
        until(
            lambda: box.of("import", begun["id"])["state"] == "COMPLETED",
            lambda: f"{box.of('import', begun['id'])}\n{box.log[-2000:]}",
        )
        self.study = begun["study_instance_uid"]
        self.expected = Expected({}, self.new)

    def stick(self, file_system: str) -> None:
        """A new one: with another study, where that is what is added to."""
        files = "studies/1" if self.update else ""
        were = hand("make_stick", name=NAME, file_system=file_system, files=files)
        before = self.old if self.update else {}
        self.expected = Expected(before, before | self.new, were)

    def begin(self) -> int:
        begun = self.box.ask(
            "export-begin", target=str(self.desk.at), studies=[self.study], update=self.update
        )
        return int(begun["id"])

    def plug_in(self, **words: Any) -> None:
        hand("plug_in", name=NAME, **words)
        self.desk.mount(self.desk.came())
        letter = self.desk.at / LETTER
        if not letter.exists():
            # There is no program that puts a file onto exFAT.
            letter.write_text(LETTER)
            sync_file(letter)
            sync_folder(self.desk.at)

    def pull(self) -> None:
        hand("pull", name=NAME)
        self.desk.went()

    def over(self, number: int) -> dict[str, Any]:
        return until(
            lambda: (
                found
                if (found := self.box.of("export", number))["state"] != "IN PROGRESS"
                else None
            ),
            lambda: f"{self.box.of('export', number)}\n{self.box.log[-3000:]}",
            120,
        )

    def outside(self, file_system: str) -> dict[str, str]:
        """What programs find on the stick, which is pulled."""
        expected = {
            "before": self.expected.before,
            "after": self.expected.after,
            "files": self.expected.files,
        }
        return hand("judge", name=NAME, file_system=file_system, expected=expected)

    def inside(self, file_system: str) -> str:
        """What the kernel finds on it; the journal of ext4 is only read where it may be written."""
        at, self.desk.at = self.desk.at, self.look
        hand("plug_in", name=NAME)
        self.desk.mount(self.desk.came(), read_only=file_system != "ext4")
        found = state_of(self.look, self.expected)
        self.desk.unmount()
        self.desk.at = at
        self.pull()
        return found

    def undisturbed(self, file_system: str) -> tuple[float, dict[str, int]]:
        """How long it takes, in seconds, and with how many operations."""
        self.stick(file_system)
        self.plug_in()
        before = hand("operations")["write"]
        begun = time.monotonic()
        done = self.over(self.begin())
        lasted = time.monotonic() - begun
        assert (done["state"], done["copied"]) == ("COMPLETED", COUNT), done
        writes = hand("operations")["write"] - before
        # At once: what is completed is on the stick, whether or not it is let go properly.
        self.pull()
        self.check_whole(file_system)
        return lasted, {"write": writes}

    def check_whole(self, file_system: str) -> str:
        said = self.outside(file_system)
        seen = self.inside(file_system)
        assert said["state"] in ("", NEW, FINISHED), (said, seen)
        assert seen in (NEW, FINISHED), (said, seen)
        return said["checked"]

    def disturbed(
        self, moment: float, file_system: str, lasts: float, operations: int
    ) -> dict[str, Any]:
        """`operations` is 0 where it is pulled, else it fails after so many writes."""
        self.stick(file_system)
        if operations:
            self.plug_in(fails="write", after=operations)
        else:
            self.plug_in()
            hand("pull_after", name=NAME, seconds=moment * lasts)
        number, refused = 0, ""
        try:
            number = self.begin()
        except GantryError as error:
            refused = str(error)
        if operations:
            until(
                lambda: (
                    refused
                    or self.box.of("export", number)["waits"]
                    or self.box.of("export", number)["state"] != "IN PROGRESS"
                ),
                lambda: f"{self.box.of('export', number)}",
            )
            hand("pull", name=NAME)
        until(lambda: hand("is_pulled", name=NAME), lambda: "it is not pulled")
        state = "REFUSED" if refused else str(self.box.of("export", number)["state"])
        self.desk.went()
        waits = refused
        if not refused:
            found = until(
                lambda: (
                    found
                    if (found := self.box.of("export", number))["waits"]
                    or found["state"] != "IN PROGRESS"
                    else None
                ),
                lambda: f"it does not say why it waits: {self.box.of('export', number)}",
            )
            assert found["state"] in ("IN PROGRESS", *WHOLE), found
            waits = found["waits"]
        line = {"state": state, "waits": waits, "outside": self.outside(file_system)}
        line["inside"] = self.inside(file_system)
        allowed = (NEW, FINISHED) if state in WHOLE else (OLD, UNFINISHED, FINISHED, NEW)
        for seen in (line["outside"]["state"] or line["inside"], line["inside"]):
            assert seen in allowed, line
        back = time.monotonic()
        self.plug_in()
        if refused:
            number = self.begin()
        done = self.over(number)
        assert done["state"] == "COMPLETED", (line, done, self.box.log[-3000:])
        assert done["copied"] + done["there"] == COUNT, (line, done)
        line["completed_in"] = round(time.monotonic() - back, 1)
        self.desk.unmount()
        self.pull()
        line["after"] = self.check_whole(file_system)
        return line


def pulls(kind: str, *, update: bool, file_systems: dict[int, str]) -> None:
    """All pulls of a kind; `file_systems` by the last digit of the pull, FAT for the others."""
    wrong = []
    with Box(Path(f"/srv/{kind}")) as box:
        work = Export(box, update=update)
        work.undisturbed("vfat")  # All that is imported for it is then.
        lasts = {each: work.undisturbed(each) for each in ("vfat", *set(file_systems.values()))}
        report(kind, undisturbed=lasts)
        for number, moment in enumerate(moments(pull_count())):
            file_system = file_systems.get(number % 10, "vfat")
            seconds, operations = lasts[file_system]
            fails_at = round(moment * operations["write"]) if number % 5 == 4 else 0
            line = {"moment": round(moment, 3), "file_system": file_system, "fails_at": fails_at}
            try:
                line |= work.disturbed(moment, file_system, seconds, fails_at)
            except AssertionError as error:
                wrong.append(f"{line}: {error}")
                line |= {"wrong": str(error)[:5000], "kernel": kernel()}
            report(kind, **line)
            if wrong:
                break
            if not fails_at:
                now = lasts_now(seconds, moment, is_over=line["state"] in WHOLE)
                lasts[file_system] = now, operations
        else:
            assert box.holds(work.new) == COUNT
            box.check_at_the_end(work.new)
        work.desk.close()
    assert not wrong, wrong
