"""Removable media: which are looked at, and what becomes of what is on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.configuration.key import key, section
from agent.configuration.kinds import Choice, Flag, ListOf, Settings, Text, identifier
from agent.configuration.names import Term


@section
class Media:
    """Sticks, cards and discs that are plugged in."""

    name: str = key(identifier(), "its name in this configuration")
    enabled: bool = key(Flag(), "false switches it off", default=True)
    description: str = key(Text(256), "for people", default="")
    kind: str = key(Term("kind of media", "media_kinds"), "the driver", default="block-devices")
    settings: Mapping[str, Any] = key(
        Settings(),
        "settings of the driver: rules (which media may be touched, by bus, vendor, model, serial, "
        "label and file system; the first that fits decides), folder (of the simulator)",
        default={},
        default_text="all that is made to be removed",
        example='{ rules = [{ permit = true, label = "HOSPITAL*" }, { permit = false }] }',
    )
    imports: str = key(
        Choice("never", "match", "unchanged"),
        "what is imported by itself: nothing, studies whose patient has one worklist entry, or "
        "everything as it is",
        default="never",
        name="import",
    )
    labels: tuple[str, ...] = key(
        ListOf(Text(64, minimum=1)),
        "labels of the media that are imported so, with * and ?; others wait for a person",
        default=("*",),
        example='["HOSPITAL*"]',
    )
    archive: str = key(
        Text(64), "the archive that studies go to", default="", default_text="the first one"
    )
