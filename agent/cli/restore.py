"""`gantry restore`: put a backup in place, on this box or on another one. Stop the node first.

All is read and verified before anything changes. What is cut off while it is put in place is gone
on with by `gantry restore --finish`; until then the node does not start.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from agent.cli.media_security import add_key_options, keys_from
from agent.errors import ConfigurationError
from agent.media.secure_file import SecureFiles


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="FROM", type=Path, nargs="?", help="the backup")
    parser.add_argument(
        "--replace", action="store_true", help="what is there may be lost: replace it"
    )
    parser.add_argument(
        "--check", action="store_true", help="read and verify it, and change nothing"
    )
    parser.add_argument(
        "--finish", action="store_true", help="go on with a restore that was cut off"
    )
    parser.add_argument(
        "--root",
        metavar="FOLDER",
        type=Path,
        default=Path("/"),
        help="put everything below this folder (default %(default)s)",
    )
    parser.add_argument(
        "--state",
        metavar="FOLDER",
        type=Path,
        default=Path("/var/lib/gantry"),
        help="with --finish: the state folder (default %(default)s)",
    )
    add_key_options(parser)


def run(options: argparse.Namespace) -> int:
    from agent.workflow import restore_placing
    from agent.workflow.restore import restore, verify

    if options.finish:
        restore_placing.finish(options.state.absolute())
        print("the restore is in place")
        return 0
    keys = keys_from(options)
    if options.source is None or not keys:
        raise ConfigurationError(
            "a restore needs a backup, and what opens it",
            way_out="gantry restore FROM --key FILE, or --password-file FILE.",
        )
    files = SecureFiles(keys)
    if options.check:
        backup = verify(options.source, files)
        print(f"whole: {backup.count} files of {backup.name}, made {backup.made}")
    else:
        root = options.root.absolute()
        backup = restore(options.source, files, root=root, replace=options.replace)
        print(f"restored: {backup.count} files of {backup.name}, made {backup.made}")
    for each in backup.not_taken:
        print(f"not in it: {each}")
    return 0
