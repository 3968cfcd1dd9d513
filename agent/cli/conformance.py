"""`gantry conformance PROFILE`: the statement of a profile."""

from __future__ import annotations

import argparse

from agent.configuration.load import load
from agent.conformance import statement
from agent.vocabulary import vocabulary


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("profile", metavar="PROFILE", help="its name, such as gateway")
    parser.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="set one key"
    )


def run(options: argparse.Namespace) -> int:
    print(statement(load(options.profile, (), options.set, vocabulary())), end="")
    return 0
