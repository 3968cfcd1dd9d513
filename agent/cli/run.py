"""`gantry run`: the node, in the foreground."""

from __future__ import annotations

import argparse

from agent.cli.options import add_configuration_options
from agent.loop.template import Template


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_configuration_options(parser)
    parser.add_argument("--log-format", choices=("text", "json"), help="form of the log")
    parser.add_argument(
        "--log-level", choices=("error", "warning", "notice", "info", "debug"), help="least level"
    )


def run(options: argparse.Namespace) -> int:
    # First of all, while the process is small: every worker is a copy of this moment.
    template = Template.start()
    from agent import observation
    from agent.cli.node_configuration import reader
    from agent.loop import Loop
    from agent.node import Node

    read = reader(options)
    try:
        configuration = read()
        log = configuration.log
        observation.log.configure(
            level=observation.Level[(options.log_level or log.level).upper()],
            style=options.log_format or log.format,
        )
        node = Node(configuration, template, read)
        budget = configuration.loop
        Loop(turn_budget=budget.turn_budget, lag_budget=budget.lag_budget).run(node.run())
    finally:
        template.close()
    return 0
