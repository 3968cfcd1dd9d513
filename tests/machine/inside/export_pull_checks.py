"""A stick is pulled, or fails, at moments of chance while a file-set is made on it."""

from __future__ import annotations

from pathlib import Path

from tests.machine.file_set_states import LETTER
from tests.machine.inside.pulled_box import NAME, SHARED, Desk, hand
from tests.machine.inside.pulled_export import pulls
from tests.machine.plugging import lay_out


def test_pulled_while_a_file_set_is_made() -> None:
    pulls("export", update=False, file_systems={3: "ext4", 7: "exfat"})


def test_a_torn_fat_is_put_right_before_it_is_written_to() -> None:
    lay_out(SHARED / "torn", {"TORN": bytes(5000)})
    hand("make_stick", name=NAME, file_system="vfat", files="torn")
    hand("tear", name=NAME, file="TORN")
    desk = Desk(Path("/mnt/torn"))
    hand("plug_in", name=NAME)
    desk.mount(desk.came())
    # The kernel would find out now, and let nothing more be written.
    (desk.at / "TORN").unlink(missing_ok=True)
    (desk.at / "OTHER").write_bytes(b"x" * 100_000)
    assert (desk.at / LETTER).read_text() == LETTER
    desk.unmount()
    hand("pull", name=NAME)
    desk.went()
    desk.close()
