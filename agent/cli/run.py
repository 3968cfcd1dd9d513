"""`gantry run`: the node, in the foreground."""

from __future__ import annotations

import argparse
import resource
from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent.cli.options import add_configuration_options

if TYPE_CHECKING:
    from pathlib import Path

    from agent.configuration.configuration import Configuration
    from agent.loop.template import Template

# What a worker would import is imported before the template is forked: its pages are shared then
# by all processes of the node, and a worker starts in a millisecond.
_PRELOADED = ("agent.node", "agent.archive.storage_worker", "agent.archive.reader_worker")

_TEMPLATE_IDLE = 20.0
_DESCRIPTORS = 65536


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_configuration_options(parser)
    parser.add_argument("--log-format", choices=("text", "json"), help="form of the log")
    parser.add_argument(
        "--log-level", choices=("error", "warning", "notice", "info", "debug"), help="least level"
    )


def run(options: argparse.Namespace) -> int:
    from importlib import import_module

    from agent.loop.loop import Loop
    from agent.loop.template import Template

    for name in _PRELOADED:
        import_module(name)
    _raise_the_limit_of_descriptors()
    template = Template.start(_TEMPLATE_IDLE)
    try:
        Loop().run(_run_node(options, template))
    finally:
        template.close()
    return 0


def _raise_the_limit_of_descriptors() -> None:
    """To what we may have: the limit that a shell or systemd sets at first is that of `select`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def read_configuration(
    profile: str | None, files: Sequence[Path] | None, overrides: Sequence[str]
) -> Configuration:
    """In a worker: TOML, the checks and their words take memory that the node has no use for."""
    from agent.configuration.load import load
    from agent.vocabulary import vocabulary

    return load(profile, files, overrides, vocabulary())


async def _run_node(options: argparse.Namespace, template: Template) -> None:
    from agent import observation
    from agent.loop.loop import current_loop
    from agent.loop.workers import WorkerPool
    from agent.node import Node

    pool = WorkerPool(template)
    # What it imports nobody else needs: it ends when it has read.
    readers = WorkerPool(template, "configuration", 1, 0.5)

    async def read() -> Configuration:
        found: Configuration = await readers.call(
            read_configuration, options.profile, options.config, options.set
        )
        return found

    try:
        configuration = await read()
        observation.log.configure(
            level=observation.Level[(options.log_level or configuration.log.level).upper()],
            style=options.log_format or configuration.log.format,
        )
        pool.limit, pool.idle_seconds = configuration.workers.general, configuration.workers.idle
        loop = current_loop()
        loop.turn_budget = configuration.loop.turn_budget
        loop.lag.budget = configuration.loop.lag_budget
        await Node(configuration, template, pool, read).run()
    finally:
        readers.close()
        pool.close()
