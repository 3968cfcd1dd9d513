"""`gantry demo`: a whole examination, end to end, on simulated hardware and on loopback.

Two real nodes run as processes of their own: the box, and a second one that plays RIS and archive.
With an archive or files of your own, objects are relayed instead.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from agent.cli.demo_node import PATIENCE
from agent.cli.options import address, ae_title
from agent.errors import ConfigurationError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--to", metavar="HOST:PORT", type=address, help="deliver to this archive instead"
    )
    parser.add_argument("--called", metavar="AE", type=ae_title, default="ARCHIVE")
    parser.add_argument(
        "--input", metavar="FOLDER", type=Path, help="send these DICOM files instead"
    )
    parser.add_argument(
        "--media", action="store_true", help="a stick comes in and a disc goes out instead"
    )
    parser.add_argument(
        "--devices",
        metavar="FILE",
        type=Path,
        help="[[capture]] and [[serial]] tables, as in gantry.toml, in place of the simulated"
        " ultrasound and foot switch",
    )
    parser.add_argument(
        "--patience",
        metavar="SECONDS",
        type=float,
        default=PATIENCE,
        help="how long a step may take (default %(default)g)",
    )
    parser.add_argument("--keep", action="store_true", help="keep the demo's folder")


def run(options: argparse.Namespace) -> int:
    if options.devices and (options.media or options.to or options.input):
        raise ConfigurationError("--devices is for the demo of an examination")
    folder = Path(tempfile.mkdtemp(prefix="gantry-demo-"))
    try:
        if options.media:
            from agent.cli.demo_media import MediaDemo

            return MediaDemo(folder, options.patience).run()
        if options.to or options.input:
            from agent.cli.demo_relay import RelayDemo

            return RelayDemo(folder, options).run()
        from agent.cli.demo_examination import ExaminationDemo

        return ExaminationDemo(folder, options.devices, options.patience).run()
    finally:
        if options.keep:
            print(f"everything is in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
