"""A stick is pulled, or fails, at moments of chance while a study is added to its file-set."""

from __future__ import annotations

from tests.machine.inside.pulled_export import pulls


def test_pulled_while_a_file_set_is_added_to() -> None:
    pulls("update", update=True, file_systems={3: "ext4"})
