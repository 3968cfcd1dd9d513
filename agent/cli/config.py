"""`gantry config`: begin, check and show a configuration."""

from __future__ import annotations

import argparse

from agent.cli.device_faults import device_faults
from agent.cli.node_configuration import reader
from agent.cli.options import add_configuration_options
from agent.configuration.document import first_file, reference
from agent.configuration.problems import ConfigurationErrors
from agent.configuration.rendering import render


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "act",
        choices=("init", "check", "show", "reference"),
        help="init: print a commented first file; check: say all that is wrong;"
        " show: everything that holds; reference: every key",
    )
    add_configuration_options(parser)


def run(options: argparse.Namespace) -> int:
    if options.act == "init":
        print(first_file(), end="")
        return 0
    if options.act == "reference":
        print(reference(), end="")
        return 0
    configuration = reader(options)()
    if options.act == "show":
        print(render(configuration), end="")
        return 0
    faults = device_faults(configuration)
    if faults:
        raise ConfigurationErrors(faults)
    entities = ", ".join(f"{each.title} on port {each.port}" for each in configuration.entities)
    peers = len(configuration.peers)
    print(f"the configuration is good: {entities or 'no entities'}; {peers} peers")
    return 0
