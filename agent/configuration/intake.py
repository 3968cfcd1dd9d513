"""Ways in besides the network: folders that others write into, and capture devices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.configuration.compression import CaptureCompression
from agent.configuration.key import key, section
from agent.configuration.kinds import (
    ApplicationEntityTitle,
    Choice,
    Flag,
    Path,
    Settings,
    Table,
    Text,
    count,
    duration,
    identifier,
)
from agent.configuration.names import Names, NamesOf, Term


@section
class Folder:
    """A folder into which other software drops files."""

    name: str = key(identifier(), "its name in this configuration")
    enabled: bool = key(Flag(), "false switches it off", default=True)
    description: str = key(Text(256), "for people", default="")
    path: str = key(Path(optional=False), "where it lies")
    recursive: bool = key(Flag(), "folders within it as well", default=True)
    pattern: str = key(Text(256, minimum=1), "names of files that count, with * and ?", default="*")
    settle: float = key(
        duration(0, 3600),
        "a file that nobody closed or renamed counts as complete when it is quiet for so long",
        default=5.0,
    )
    then: str = key(
        Choice("delete", "move", "keep"),
        "what becomes of a file that is safe in the archive",
        default="delete",
    )
    done: str = key(
        Path(),
        "with move: where files go that were taken",
        default="",
        default_text="`.done` in the folder",
    )
    failed: str = key(
        Path(),
        "where files go that cannot be taken",
        default="",
        default_text="`.failed` in the folder",
    )
    archive: str = key(
        Text(64), "the archive that it stores to", default="", default_text="the first one"
    )
    title: str = key(
        ApplicationEntityTitle(optional=True),
        "the calling AE title that routes see",
        default="",
        default_text="none",
    )


@section
class Capture:
    """A capture device."""

    name: str = key(identifier(), "its name in this configuration")
    enabled: bool = key(Flag(), "false switches it off", default=True)
    description: str = key(Text(256), "for people", default="")
    kind: str = key(
        Term("kind of capture device", "capture_kinds"), "the driver", default="simulator"
    )
    device: str = key(
        Text(256), "which device, as the driver names it", default="", default_text="the first one"
    )
    settings: Mapping[str, Any] = key(
        Settings(), "settings of the driver: form, size, rate", default={}, default_text="its own"
    )
    modality: str = key(
        Text(16, pattern=r"[A-Z0-9_ ]*", what="a code string of at most 16 characters"),
        "Modality (0008,0060) of the objects made",
        default="OT",
    )
    station_name: str = key(
        Text(16), "Station Name (0008,1010)", default="", default_text="the name of the node"
    )
    sop_classes: Names = key(
        NamesOf("SOP class"),
        "SOP classes of the objects made: the first single-frame one for stills, the first "
        "multi-frame one for clips",
        default=Names(),
        default_text="as modality and form of the frames ask",
        name="sop_class",
        example='"SecondaryCaptureImageStorage"',
    )
    review: bool = key(
        Flag(),
        "objects of an examination go out when they are accepted, or when it is finished",
        default=False,
    )
    protocol: str = key(
        Text(64),
        "Protocol Name (0018,1030) of its series",
        default="",
        default_text="as the worklist says",
    )
    template: Mapping[str, Any] = key(
        Settings("a table: manufacturer, model_name, body_part_examined and the like"),
        "what its objects say of the device; its table `attributes` has others by keyword of PS3.6",
        default={},
        default_text="nothing is known",
        example='{ manufacturer = "ACME", institution_name = "General Hospital" }',
    )
    compression: CaptureCompression = key(
        Table(CaptureCompression),
        "frames are compressed while they are captured",
        default=CaptureCompression(),
    )
    sign: bool = key(
        Flag(),
        "objects are signed by the Creator RSA Digital Signature Profile (PS3.15 C.2), with the "
        "key of [signatures]",
        default=False,
    )
    keep: float = key(
        duration(1, 600, zero="nothing is kept"),
        "while an examination is in progress, so much of what the device shows is kept on disk, "
        "for clips of what was before (`last`); it takes at most half of what is free there",
        default=0.0,
    )
    archive: str = key(
        Text(64), "the archive that it stores to", default="", default_text="the first one"
    )


@section
class Amounts:
    """How much an act of an operator captures."""

    clip: int = key(count(1, 1000000), "frames of a clip", default=75)
    clip_time: float = key(
        duration(0.01, 3600, zero="as many frames as `clip` says"), "a clip's time", default=0.0
    )
    burst: int = key(count(1, 1000), "stills of a burst", default=5)
    every: float = key(duration(0, 3600), "from one still of a burst to the next", default=1.0)
    last: float = key(
        duration(0.01, 600, zero="all that is kept"),
        "how much of what was before goes into a clip of it",
        default=0.0,
    )


@section
class Serial(Amounts):
    """A device on a serial line by which an operator, or a machine, says what is to be done."""

    name: str = key(identifier(), "its name in this configuration")
    enabled: bool = key(Flag(), "false switches it off", default=True)
    description: str = key(Text(256), "for people", default="")
    kind: str = key(
        Term("kind of serial device", "serial_kinds"), "the driver", default="simulator"
    )
    settings: Mapping[str, Any] = key(
        Settings(),
        "settings of the driver: port, rate, patterns",
        default={},
        default_text="its own",
    )
    capture: str = key(
        Text(64),
        "the capture device that it is for",
        default="",
        default_text="the first one",
    )
    actions: Mapping[str, Any] = key(
        Settings("a table of pedals, buttons and words of the device with what they lead to"),
        "what a pedal or a word leads to: still, burst, clip, last (a clip of what was before), "
        "series, finish, discontinue or nothing",
        default={},
        default_text="every pedal captures a still; words act as they are called",
        example='{ left = "still", right = "clip" }',
    )


@section
class Panel(Amounts):
    """Lamps and buttons on the box: ready, busy, attention, media."""

    kind: str = key(
        Term("kind of panel", "panel_kinds", optional=True),
        "the driver",
        default="",
        default_text="there is none",
    )
    settings: Mapping[str, Any] = key(
        Settings(),
        "settings of the driver: chip, lamps, buttons",
        default={},
        default_text="its own",
    )
    actions: Mapping[str, Any] = key(
        Settings("a table of buttons with what they lead to"),
        "what a button leads to, as for serial devices",
        default={},
        default_text="nothing",
        example='{ start = "still", stop = "finish" }',
    )
