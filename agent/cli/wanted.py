"""The options that say what is to be captured, for `gantry capture` and `gantry exam capture`."""

from __future__ import annotations

import argparse
from typing import Any


def add_wanted_options(parser: argparse.ArgumentParser) -> None:
    """--stills, --every, --clips, --frames and --seconds."""
    parser.add_argument("--stills", type=int, help="single images (default 1)")
    parser.add_argument(
        "--every", type=float, metavar="SECONDS", help="from one of them to the next"
    )
    parser.add_argument("--clips", type=int, default=0, help="clips after them (default 0)")
    parser.add_argument("--frames", type=int, default=25, help="frames of a clip (default 25)")
    parser.add_argument("--seconds", type=float, help="a clip's time instead")


def wanted_of(options: argparse.Namespace) -> dict[str, Any]:
    """The fields of the request; what was not said is left to the node."""
    fields = {
        "stills": options.stills,
        "interval": options.every,
        "clips": options.clips,
        "frames": options.frames,
        "seconds": options.seconds,
    }
    return {name: value for name, value in fields.items() if value is not None}
