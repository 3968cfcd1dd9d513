"""`gantry backup`: configuration, keys and all that is stored, encrypted, while the node runs.

TO is a file, or a folder that is there (a mounted stick): the backup gets a name of its own in it.
"""

from __future__ import annotations

import argparse
import re
import time
from pathlib import Path

from agent.cli.media_security import add_protection_options, envelope_from
from agent.cli.node_configuration import reader
from agent.cli.options import add_configuration_options
from agent.errors import ConfigurationError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("to", metavar="TO", type=Path, help="a file, or a folder that is there")
    parser.add_argument(
        "--segments",
        action="store_true",
        help="make a folder of files of 8 MiB: for sticks that hold no file above 4 GiB (FAT)",
    )
    add_configuration_options(parser)
    add_protection_options(parser)


def run(options: argparse.Namespace) -> int:
    from agent.workflow.backup import write_backup

    configuration = reader(options)()
    envelope = envelope_from(options)
    if envelope is None:
        raise ConfigurationError(
            "a backup has keys and patients in it, and nobody is named who may open it",
            way_out="Give --recipient CERT or --password-file FILE.",
        )
    target = options.to.absolute()
    if target.is_dir():
        name = re.sub(r"[^A-Za-z0-9_-]", "-", configuration.node.name)
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        target /= f"{name}-{moment}.backup"
    elif options.segments and target.exists():
        raise ConfigurationError(f"{target} is there, and is no folder", value=str(target))
    made = write_backup(configuration, target, envelope, in_segments=options.segments)
    print(
        f"{made.place}: {made.objects} objects and {made.files - made.objects} other files,"
        f" {made.size / 1e6:.1f} MB"
    )
    for each in made.not_taken:
        print(f"not taken: {each}")
    return 0
