"""`gantry get`: have objects of a peer sent over the same association (C-GET, PS3.4 C, Y, Z)."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from agent.cli import retrieving
from agent.cli.receiving import ReceivingKeeper, add_no_sync_option, receiving_entity, safe_way
from agent.cli.requestor import associate
from agent.cli.retrieving import Report
from agent.dataset.attributes import Attributes
from agent.dataset.json_model import to_json
from agent.dataset.sop_classes import SOP_CLASSES
from agent.errors import ConfigurationError
from agent.loop import Event, Loop, TaskGroup
from agent.loop.workers import Template
from agent.network.association import Association, ServiceProvider
from agent.network.negotiation import propose
from agent.services.incomplete_instances import IncompleteInstanceProvider
from agent.services.instance_listing import Listed, listing_need
from agent.services.retrieval_user import (
    COMPRESSED,
    Retrieved,
    common_storage_classes,
    get_needs,
    relational_proposal,
    retrieve,
)
from agent.services.storage import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    StorageProvider,
)

_WITHOUT_BULK_DATA = "without-bulk-data"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    retrieving.add_retrieval_options(parser)
    parser.add_argument(
        "--into",
        metavar="FOLDER",
        type=Path,
        help=f"where to; with the model {_WITHOUT_BULK_DATA} nothing is kept, but printed as JSON",
    )
    parser.add_argument(
        "--sop-class",
        metavar="CLASS",
        action="append",
        default=[],
        help="take objects of this class only, by UID or keyword; may be given again (default: what"
        " --check finds, else the classes that are met most)",
    )
    add_no_sync_option(parser)


def run(options: argparse.Namespace) -> int:
    options.model = retrieving.model_name(options)
    incomplete = options.model == _WITHOUT_BULK_DATA
    if incomplete == (options.into is not None):
        raise ConfigurationError(
            "instances without their bulk data are not kept" if incomplete else "--into is missing",
            way_out="Leave --into out." if incomplete else "Say into which folder.",
        )
    template = None if options.no_sync or incomplete else Template.start()
    try:
        return Loop().run(_Get(options, template).run())
    finally:
        if template is not None:
            template.close()


class _Get:
    def __init__(self, options: argparse.Namespace, template: Template | None) -> None:
        self._options = options
        self._sop_class = retrieving.MODELS[options.model].get
        self._identifier = retrieving.identifier_of(options, self._sop_class)
        self._keeper = (
            None if options.into is None else ReceivingKeeper(options.into, safe_way(template))
        )
        self._incomplete: set[str] = set()
        self._report = Report(options.json, self._received)
        if options.level == "IMAGE":
            self._report.wanted = self._identifier.texts("SOPInstanceUID")

    def _received(self) -> frozenset[str]:
        return frozenset(self._incomplete if self._keeper is None else self._keeper.received)

    async def run(self) -> int:
        report, cancel = self._report, Event()
        classes = tuple(_uid_of(each) for each in self._options.sop_class)
        classes = classes or tuple(retrieving.MODELS[self._options.model].stored)
        async with TaskGroup() as group:
            interrupt = group.start(retrieving.cancel_on_interrupt(cancel), "interrupt")
            if self._options.check:
                report.listed = await self._list()
                classes = classes or retrieving.classes_of(report.listed.values())
            asked = [self._identifier]
            for _ in range(1 + self._options.retry):
                association = await self._associate(classes or common_storage_classes())
                for identifier in asked:
                    report.rounds.append(await self._ask(association, identifier, cancel))
                asked = retrieving.again(report, self._identifier, association, self._sop_class)
                await association.release()
                if not asked or cancel.is_set():
                    break
            interrupt.cancel()
        if self._keeper is not None:
            self._keeper.close()
        elif self._options.json:
            # The instances themselves are what is printed.
            return report.exit_status()
        return report.end()

    async def _ask(
        self, association: Association, identifier: Attributes, cancel: Event
    ) -> Retrieved:
        return await retrieve(
            association,
            self._sop_class,
            identifier,
            priority=retrieving.PRIORITIES[self._options.priority],
            on_progress=self._report.tell,
            cancel=cancel,
            patience=self._options.timeout,
        )

    async def _list(self) -> dict[str, Listed]:
        association = await associate(self._options, propose([listing_need()])[0])
        listed = await retrieving.listing(association, self._identifier)
        await association.release()
        return listed

    async def _associate(self, classes: Sequence[str]) -> Association:
        needs, roles = get_needs(self._sop_class, classes, COMPRESSED)
        relational = self._options.relational
        return await associate(
            self._options,
            propose(needs)[0],
            roles=roles,
            extended=(relational_proposal(self._sop_class),) if relational else (),
            providers=self._providers(classes),
        )

    def _providers(self, classes: Sequence[str]) -> Mapping[str, ServiceProvider]:
        if self._keeper is None:
            return dict.fromkeys(classes, IncompleteInstanceProvider(self._show))
        provider = StorageProvider(
            receiving_entity(self._options.calling, 1),
            self._keeper,
            implementation_class_uid=IMPLEMENTATION_CLASS_UID,
            implementation_version_name=IMPLEMENTATION_VERSION_NAME,
        )
        return dict.fromkeys(classes, provider)

    def _show(self, instance: Attributes) -> None:
        self._incomplete.add(instance.text("SOPInstanceUID"))
        print(json.dumps(to_json(instance), ensure_ascii=False))


def _uid_of(name: str) -> str:
    if name in SOP_CLASSES or name.replace(".", "").isdigit():
        return name
    for uid, row in SOP_CLASSES.items():
        if name.lower() in (row.keyword.lower(), row.name.lower()):
            return uid
    raise ConfigurationError(
        f"there is no SOP class {name}", value=name, way_out="Give its UID, or its keyword."
    )
