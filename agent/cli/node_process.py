"""The process of a node, which `gantry run` turns into.

Nothing is imported here that the node does not need while it runs, and nothing before the template
is forked that workers do not need: it would be in memory once more for each of them.
"""

from __future__ import annotations

import gc
import json
import resource
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

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


def main(told: Mapping[str, Any]) -> int:
    """Run the node by what `gantry run` was told; gives the exit status."""
    import_late(*_LATE)
    from agent import observation
    from agent.cli.exit_status import report

    observation.log.configure(
        level=observation.Level[(told["log_level"] or "info").upper()],
        style=told["log_format"] or "text",
    )
    try:
        _run(told)
    except (Exception, KeyboardInterrupt) as error:
        return report(error)
    return 0


def _run(told: Mapping[str, Any]) -> None:
    from agent.loop.loop import Loop
    from agent.loop.template import Template

    _raise_the_limit_of_descriptors()
    template = Template.start(_TEMPLATE_IDLE)
    try:
        Loop().run(_run_node(told, template))
    finally:
        template.close()


def _raise_the_limit_of_descriptors() -> None:
    """To what we may have: the limit that a shell or systemd sets at first is that of `select`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def read_configuration(
    profile: str | None, files: Sequence[str] | None, overrides: Sequence[str]
) -> Configuration:
    """In a worker: TOML, the checks and their words take memory that the node has no use for."""
    from pathlib import Path

    from agent.configuration.load import load
    from agent.vocabulary import vocabulary

    paths = None if files is None else [Path(each) for each in files]
    return load(profile, paths, overrides, vocabulary())


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


async def _run_node(told: Mapping[str, Any], template: Template) -> None:
    from agent import observation
    from agent.loop.loop import current_loop
    from agent.loop.task_group import TaskGroup
    from agent.loop.workers import WorkerPool

    pool = WorkerPool(template)
    # What it imports nobody else needs: it ends when it has read.
    readers = WorkerPool(template, "configuration", 1, 0.5)

    async def read() -> Configuration:
        found: Configuration = await readers.call(
            read_configuration, told["profile"], told["files"], told["overrides"]
        )
        return found

    try:
        async with TaskGroup() as group:
            reading = group.start(read(), "configuration")
            await _import_the_node()
            configuration = await reading.join()
        observation.log.configure(
            level=observation.Level[(told["log_level"] or configuration.log.level).upper()],
            style=told["log_format"] or configuration.log.format,
        )
        pool.limit, pool.idle_seconds = configuration.workers.general, configuration.workers.idle
        loop = current_loop()
        loop.turn_budget = configuration.loop.turn_budget
        loop.lag.budget = configuration.loop.lag_budget
        from agent.node import Node

        await Node(configuration, template, pool, read).run()
    finally:
        readers.close()
        pool.close()


if __name__ == "__main__":
    # By its own name, so that workers find what they are sent.
    from agent.cli.node_process import main

    sys.exit(main(json.loads(sys.argv[1])))
