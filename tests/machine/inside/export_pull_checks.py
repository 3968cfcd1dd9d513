"""A stick is pulled, or fails, at moments of chance while a file-set is made on it."""

from __future__ import annotations

from tests.machine.inside.pulled_export import pulls


def test_pulled_while_a_file_set_is_made() -> None:
    pulls("export", update=False, file_systems={3: "ext4", 7: "exfat"})
