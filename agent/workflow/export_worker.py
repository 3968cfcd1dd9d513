"""Where the workers of an export begin: what they need is not imported by the node that names them.

All that may block on a medium, reads the index, or decodes frames, happens there.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.configuration.mail import Mail
    from agent.workflow.export_settings import Plan, Selection, Target, VolumeSettings


def plan_export(
    folder: str, selection: Selection, target: Target, profile: str, scratch: str, mail: Mail
) -> Plan:
    """What an export will do, see `agent.workflow.export_planning.plan`."""
    from agent.workflow.export_planning import plan

    return plan(folder, selection, target, profile, scratch, mail)


def serve_export(calls: Any, settings: VolumeSettings) -> None:
    """The worker of one volume. `step` goes on, and answers with a Step, None at the end; `tally`
    says what became of the objects; `take_back` removes what is unfinished."""
    from agent.workflow.export_volume import VolumeWriting

    writing = VolumeWriting(settings)
    steps = writing.steps()
    while group := calls.receive(limit=1):
        for call in group:
            try:
                if call.name == "step":
                    call.reply(next(steps, None))
                elif call.name == "tally":
                    call.reply(writing.tally())
                else:
                    writing.take_back()
                    call.reply(None)
            except Exception as error:
                call.fail(error)


def remove_other_folders(folder: str, wanted: Collection[str], pattern: str = "*") -> None:
    """All of this pattern in a folder but those of these names; what cannot be removed stays."""
    with suppress(OSError):
        for each in list(Path(folder).glob(pattern)):
            if each.name not in wanted:
                remove_folder(str(each))


def remove_folder(folder: str) -> None:
    """What an export had for itself goes; what cannot be removed stays."""
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
