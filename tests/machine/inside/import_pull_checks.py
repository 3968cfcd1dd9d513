"""A stick is pulled, or fails, at moments of chance while its study is imported by itself."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tests.machine.inside.pulled_box import (
    COUNT,
    NAME,
    SIZE,
    Box,
    hand,
    kernel,
    lasts_now,
    moments,
    pull_count,
    report,
    until,
)

MEDIA = f'[[media]]\nname = "sticks"\nimport = "unchanged"\nlabels = ["{NAME}"]\n'


def seen(box: Box) -> dict[str, Any]:
    """The stick as the node sees it; nothing where it does not."""
    return next((dict(each) for each in box.ask("media")["items"]), {})


def imports_of(box: Box, after: int) -> list[dict[str, Any]]:
    """Imports of the study that is on the stick now."""
    return [each for each in box.ask("import-list", limit=20)["items"] if each["id"] > after]


def let_out(box: Box) -> None:
    until(
        lambda: seen(box).get("state") == "safe to remove",
        lambda: f"{box.log[-2500:]}\n{seen(box)}\n{imports_of(box, 0)[:2]}",
    )


def gone(box: Box) -> None:
    until(lambda: hand("is_pulled", name=NAME), lambda: "it is not pulled")
    until(lambda: not seen(box), lambda: f"{seen(box)}\n{box.log[-2000:]}")


class Import:
    """Study by study: each comes on a new stick."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.number = 0
        self.all: dict[str, str] = {}

    def stick(self, file_system: str = "vfat") -> dict[str, str]:
        self.number += 1
        made: dict[str, str] = hand("study", number=self.number, count=COUNT, size=SIZE)
        hand("make_stick", name=NAME, file_system=file_system, files=f"studies/{self.number}")
        self.all |= made
        return made

    def undisturbed(self, file_system: str) -> tuple[float, dict[str, int]]:
        """How long it takes, in seconds, and with how many operations."""
        made, above = self.stick(file_system), self.box.last
        begun = time.monotonic()
        hand("plug_in", name=NAME)
        let_out(self.box)
        lasted = time.monotonic() - begun
        operations: dict[str, int] = hand("operations")
        assert self.box.holds(made, above=above) == COUNT
        hand("pull", name=NAME)
        gone(self.box)
        return lasted, operations

    def disturbed(
        self, moment: float, file_system: str, lasts: float, operations: int
    ) -> dict[str, Any]:
        """`operations` is 0 where it is pulled, else it fails after so many reads."""
        box, made, above = self.box, self.stick(file_system), self.box.last
        before = max((each["id"] for each in imports_of(box, 0)), default=0)
        hand("keep", name=NAME)
        if operations:
            hand("plug_in", name=NAME, fails="read", after=operations)
            time.sleep(lasts + 2)
            until(
                lambda: seen(box).get("state") not in ("being mounted", "being imported"),
                lambda: f"{seen(box)}\n{box.log[-2000:]}",
            )
            hand("pull", name=NAME)
        else:
            hand("plug_in", name=NAME)
            hand("pull_after", name=NAME, seconds=moment * lasts)
        gone(box)
        changed = hand("changed", name=NAME)
        if changed == "table" and operations and file_system == "vfat":
            # The kernel's, mounted for reading or not: see "What FAT cannot promise" in README.md.
            hand("restore", name=NAME)
        else:
            assert not changed, f"reading has written to the {changed}"
        had = box.holds(made, above=above)
        said = [each["state"] for each in imports_of(box, before)]
        waits = ""
        if said == ["IN PROGRESS"]:
            (waits,) = until(
                lambda: [each["waits"] for each in imports_of(box, before) if each["waits"]],
                lambda: f"it does not say why it waits: {imports_of(box, before)}",
            )
            had = box.holds(made, above=above)
        back = time.monotonic()
        hand("plug_in", name=NAME)
        let_out(box)
        over = [each for each in imports_of(box, before) if each["state"] != "COMPLETED"]
        assert not over, over
        took = time.monotonic() - back
        assert box.holds(made, above=above) == COUNT
        last = imports_of(box, before)[0]
        assert (last["objects"], last["failed"]) == (COUNT, 0), last
        if not operations:
            assert len(imports_of(box, before)) == 1
        hand("pull", name=NAME)
        gone(box)
        assert not hand("changed", name=NAME), "reading has written to it"
        return {
            "had": had,
            "state": said,
            "waits": waits,
            "completed_in": round(took, 1),
            **({"kernel_changed": changed} if changed else {}),
        }


def test_pulled_while_it_is_imported(tmp_path: Path) -> None:
    wrong = []
    with Box(Path("/srv/import"), MEDIA) as box:
        work = Import(box)
        work.undisturbed("vfat")  # All that is imported for it is then.
        lasts = {each: work.undisturbed(each) for each in ("vfat", "ext4")}
        report("import", undisturbed=lasts)
        for number, moment in enumerate(moments(pull_count())):
            file_system = "ext4" if number % 5 == 3 else "vfat"
            seconds, operations = lasts[file_system]
            fails_at = round(moment * operations["read"]) if number % 5 == 4 else 0
            line = {"moment": round(moment, 3), "file_system": file_system, "fails_at": fails_at}
            try:
                line |= work.disturbed(moment, file_system, seconds, fails_at)
            except AssertionError as error:
                wrong.append(f"{line}: {error}")
                line |= {"wrong": str(error)[:8000], "kernel": kernel()}
            report("import", **line)
            if wrong:
                break
            if not fails_at:
                now = lasts_now(seconds, moment, is_over=line["state"] == ["COMPLETED"])
                lasts[file_system] = now, operations
        else:
            box.check_at_the_end(work.all)
    assert not wrong, wrong
