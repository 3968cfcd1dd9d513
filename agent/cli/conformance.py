"""`gantry conformance PROFILE`: the statement of a profile, or of a box that is configured."""

from __future__ import annotations

import argparse
from pathlib import Path

from agent.configuration.load import load
from agent.conformance import statement
from agent.vocabulary import vocabulary


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("profile", metavar="PROFILE", help="its name, such as gateway")
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="configuration file over the profile; several add up",
    )
    parser.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="set one key"
    )


def run(options: argparse.Namespace) -> int:
    print(statement(load(options.profile, options.config, options.set, vocabulary())), end="")
    return 0
