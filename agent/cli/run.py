"""`gantry run`: the node, in the foreground.

The options are read here; the process then becomes that of the node (`node_process`), which starts
anew without the half megabyte that reading options took.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import NoReturn

from agent.cli.options import add_configuration_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_configuration_options(parser)
    parser.add_argument("--log-format", choices=("text", "json"), help="form of the log")
    parser.add_argument(
        "--log-level", choices=("error", "warning", "notice", "info", "debug"), help="least level"
    )


def run(options: argparse.Namespace) -> NoReturn:
    told = {
        "profile": options.profile,
        "files": options.config and [str(each) for each in options.config],
        "overrides": options.set,
        "log_level": options.log_level,
        "log_format": options.log_format,
    }
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    program = [sys.executable, "-P", "-m", "agent.cli.node_process", json.dumps(told)]
    os.execv(sys.executable, program)
