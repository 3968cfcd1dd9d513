"""`gantry move`: have a peer send objects to somebody, or to ourselves (C-MOVE, PS3.4 C, Y)."""

from __future__ import annotations

import argparse
from contextlib import suppress
from pathlib import Path

from agent.cli import retrieving
from agent.cli.options import ae_title
from agent.cli.options import port as port_number
from agent.cli.receiving import ReceivingKeeper, add_no_sync_option, listening, safe_way
from agent.cli.requestor import associate
from agent.cli.retrieving import Report
from agent.dataset.attributes import Attributes
from agent.errors import ConfigurationError
from agent.loop import Event, Loop, TaskGroup, TimedOut, sleep, timeout
from agent.loop.workers import Template
from agent.network.association import Association
from agent.network.negotiation import propose
from agent.network.transport import Listener
from agent.services.instance_listing import listing_need
from agent.services.retrieval_user import Retrieved, move_need, relational_proposal, retrieve

_LATE = 5.0
"""Seconds in which objects may come after the final response."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    retrieving.add_retrieval_options(parser)
    parser.add_argument(
        "--to", metavar="AE", type=ae_title, required=True, help="AE title of who gets the objects"
    )
    parser.add_argument(
        "--listen",
        metavar="PORT",
        type=port_number,
        help="we are the destination: listen there, and keep what comes --into FOLDER",
    )
    parser.add_argument("--into", metavar="FOLDER", type=Path, help="where to")
    parser.add_argument("--address", default="0.0.0.0", help=argparse.SUPPRESS)
    add_no_sync_option(parser)


def run(options: argparse.Namespace) -> int:
    if (options.listen is None) != (options.into is None):
        raise ConfigurationError(
            "--listen and --into belong together", way_out="Give both, or none of them."
        )
    options.model = retrieving.model_name(options)
    if not retrieving.MODELS[options.model].move:
        raise ConfigurationError(
            f"the model {options.model} knows no C-MOVE", way_out="Use 'gantry get'."
        )
    template = Template.start() if options.into is not None and not options.no_sync else None
    try:
        return Loop().run(_Move(options, template).run())
    finally:
        if template is not None:
            template.close()


class _Move:
    def __init__(self, options: argparse.Namespace, template: Template | None) -> None:
        self._options = options
        self._sop_class = retrieving.MODELS[options.model].move
        self._identifier = retrieving.identifier_of(options, self._sop_class)
        self._keeper: ReceivingKeeper | None = None
        self._listener: Listener | None = None
        self._report = Report(options.json)
        if options.into is not None:
            keeper = self._keeper = ReceivingKeeper(options.into, safe_way(template))
            self._report.received = lambda: frozenset(keeper.received)
        if options.level == "IMAGE":
            self._report.wanted = self._identifier.texts("SOPInstanceUID")

    async def run(self) -> int:
        options, report, cancel = self._options, self._report, Event()
        async with TaskGroup() as group:
            interrupt = group.start(retrieving.cancel_on_interrupt(cancel), "interrupt")
            if self._keeper is not None:
                self._listener, _ = listening(options, self._keeper, options.to, options.listen)
            needs = [move_need(self._sop_class), *([listing_need()] if options.check else [])]
            relational = (relational_proposal(self._sop_class),) if options.relational else ()
            association = await associate(options, propose(needs)[0], extended=relational)
            if options.check:
                report.listed = await retrieving.listing(association, self._identifier)
            asked = [self._identifier]
            for _ in range(1 + options.retry):
                for identifier in asked:
                    report.rounds.append(await self._ask(association, identifier, cancel))
                await self._wait_for_the_late()
                asked = retrieving.again(report, self._identifier, association, self._sop_class)
                if not asked or cancel.is_set():
                    break
            await association.release()
            if self._listener is not None:
                await self._listener.drain(_LATE)
            interrupt.cancel()
        if self._keeper is not None:
            self._keeper.close()
        return report.end()

    async def _ask(
        self, association: Association, identifier: Attributes, cancel: Event
    ) -> Retrieved:
        return await retrieve(
            association,
            self._sop_class,
            identifier,
            self._options.to,
            priority=retrieving.PRIORITIES[self._options.priority],
            on_progress=self._report.tell,
            cancel=cancel,
            patience=self._options.timeout,
            signs_of_life=self._bytes,
        )

    def _bytes(self) -> int:
        """What came from the peer over other associations."""
        if self._listener is None or self._keeper is None:
            return 0
        open_now = sum(each.bytes_received for each in self._listener.associations)
        return open_now + self._keeper.objects

    async def _wait_for_the_late(self) -> None:
        """The last objects may come behind the final response."""
        with suppress(TimedOut), timeout(_LATE):
            while self._report.lacking():
                await sleep(0.05)
