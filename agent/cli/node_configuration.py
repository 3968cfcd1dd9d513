"""The configuration as commands read it, and how they reach the running node."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from agent.configuration.configuration import Configuration
from agent.configuration.load import load
from agent.vocabulary import vocabulary

DEFAULT_CONTROL = Path("/run/gantry/control")


def reader(options: argparse.Namespace) -> Callable[[], Configuration]:
    """A function that reads the layers that the options name; again for each reload."""

    def read() -> Configuration:
        return load(options.profile, options.config, options.set, vocabulary())

    return read


def add_control_option(parser: argparse.ArgumentParser) -> None:
    """`control`: the socket of the running node."""
    parser.add_argument(
        "--control",
        metavar="SOCKET",
        type=Path,
        default=DEFAULT_CONTROL,
        help="control socket of the node (default %(default)s)",
    )
