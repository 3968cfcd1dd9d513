"""`gantry run`: the node, in the foreground."""

from __future__ import annotations

import argparse

from agent.cli.options import add_configuration_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_configuration_options(parser)
    parser.add_argument("--log-format", choices=("text", "json"), help="form of the log")
    parser.add_argument(
        "--log-level", choices=("error", "warning", "notice", "info", "debug"), help="least level"
    )


def run(options: argparse.Namespace) -> int:
    """Where options stood before the command; `agent.cli.main` has the usual way."""
    from agent.cli.node_process import main

    return main(_words_of(options))


def _words_of(options: argparse.Namespace) -> list[str]:
    pairs = [("--profile", options.profile)]
    pairs += [("--config", str(each)) for each in options.config or ()]
    pairs += [("--set", each) for each in options.set]
    pairs += [("--log-format", options.log_format), ("--log-level", options.log_level)]
    return [f"{name}={value}" for name, value in pairs if value is not None]
