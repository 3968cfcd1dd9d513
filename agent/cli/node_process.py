"""The process of a node, which `gantry run` is.

Nothing is imported here that the node does not need while it runs, and nothing before the template
is forked that workers do not need: it would be in memory once more for each of them.
"""

from __future__ import annotations

import gc
import resource
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from agent.cli.late_modules import import_late

if TYPE_CHECKING:
    from agent.configuration.configuration import Configuration
    from agent.loop.template import Template

# What others import and a node seldom uses.
_LATE = ("inspect", "ipaddress", "traceback")

# The node, in parts of some 50 ms.
_PIECES = ("agent.dataset.head", "agent.network.association", "agent.archive.archive", "agent.node")

_TEMPLATE_IDLE = 20.0
_DESCRIPTORS = 65536


class Reading(NamedTuple):
    """What was read: by the command line and in the files that it names."""

    configuration: Configuration
    log_level: str
    log_format: str


def main(words: Sequence[str]) -> int:
    """Run the node by the words behind `gantry run`; gives the exit status."""
    import_late(*_LATE)
    from agent.cli.exit_status import ExitStatus, report
    from agent.errors import ConfigurationError

    try:
        return _run(words)
    except (Exception, KeyboardInterrupt) as error:
        status = report(error, in_log=True)
        if status is ExitStatus.WRONG_USAGE and not isinstance(error, ConfigurationError):
            # With that one systemd would not start the node again: it waits for a person.
            return ExitStatus.REFUSED
        return status


def _run(words: Sequence[str]) -> int:
    from agent import observation
    from agent.loop.loop import Loop
    from agent.loop.template import Template

    _raise_the_limit_of_descriptors()
    _log_warnings()
    observation.log.wait_for_nobody()
    template = Template.start(_TEMPLATE_IDLE)
    try:
        return Loop().run(_run_node(words, template))
    finally:
        template.close()
        observation.log.end()


def _log_warnings() -> None:
    """What libraries warn of quotes values of data sets: it is for the level debug. Set before the
    template is forked, for workers too."""
    import warnings

    from agent import observation

    def show(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        observation.debug("a library warns", kind=category.__name__, text=str(message))

    warnings.showwarning = show


def _raise_the_limit_of_descriptors() -> None:
    """To what we may have: the limit that a shell or systemd sets at first is that of `select`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def read(words: Sequence[str]) -> Reading | int:
    """In a worker: options, TOML, the checks and their words take memory that the node has no use
    for. An exit status where the words ask for help or make no sense, which is printed then."""
    import sys

    from agent.cli.command_line import options_of
    from agent.configuration.load import load
    from agent.vocabulary import vocabulary

    try:
        options = options_of("run", words)
    except SystemExit as ended:
        sys.stdout.flush()
        return ended.code if isinstance(ended.code, int) else 2
    configuration = load(options.profile, options.config, options.set, vocabulary())
    return Reading(
        configuration,
        options.log_level or configuration.log.level,
        options.log_format or configuration.log.format,
    )


async def _import_the_node() -> None:
    """While a worker reads the configuration. Not before the template is forked: of a page that two
    processes share and one writes to, as counting references does, there are two."""
    from importlib import import_module

    from agent.loop.waiting import sleep

    for name in _PIECES:
        import_module(name)
        # The worker is heard and told what to do.
        await sleep(0.001)
    gc.collect()
    gc.freeze()


async def _run_node(words: Sequence[str], template: Template) -> int:
    from agent import observation
    from agent.loop.loop import current_loop
    from agent.loop.task_group import TaskGroup
    from agent.loop.workers import WorkerPool

    pool = WorkerPool(template)
    # What it imports nobody else needs: it ends when it has read.
    readers = WorkerPool(template, "configuration", 1, 0.5)

    async def read_again() -> Configuration:
        again = await readers.call(read, words)
        assert isinstance(again, Reading)
        return again.configuration

    try:
        async with TaskGroup() as group:
            reading = group.start(readers.call(read, words), "configuration")
            await _import_the_node()
            found: Reading | int = await reading.join()
        if isinstance(found, int):
            return found
        observation.log.configure(
            level=observation.Level[found.log_level.upper()], style=found.log_format
        )
        configuration = found.configuration
        pool.limit, pool.idle_seconds = configuration.workers.general, configuration.workers.idle
        loop = current_loop()
        loop.turn_budget = configuration.loop.turn_budget
        loop.lag.budget = configuration.loop.lag_budget
        from agent.node import Node

        await Node(configuration, template, pool, read_again).run()
    finally:
        readers.close()
        pool.close()
    return 0
