"""`gantry listen`: receive objects into a folder, for set-up and fault-finding."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path

from agent.cli.options import add_tls_options as _add_tls_options
from agent.cli.options import ae_title, server_context
from agent.cli.options import port as port_number
from agent.configuration.configuration import Configuration
from agent.configuration.entity import Entity, EntityLimits, StorageBehaviour
from agent.configuration.entity import Service as ServiceTable
from agent.loop import Loop, Signals
from agent.loop.workers import Template, WorkerPool
from agent.network.pdu import AssociateReject, AssociateRequest
from agent.network.rejection import CALLED_AE_TITLE_NOT_RECOGNIZED
from agent.network.transport import Admission, Caller, Listener
from agent.services.offer import offer_of, providers_of
from agent.services.service import StorageSupport
from agent.services.storage import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from agent.workflow.folder_keeper import FolderKeeper, keep_safe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", metavar="P", type=port_number, required=True, help="TCP port")
    parser.add_argument("--into", metavar="FOLDER", type=Path, required=True, help="where to")
    parser.add_argument("--address", default="0.0.0.0", help="address (default %(default)s)")
    parser.add_argument(
        "--called", metavar="AE", type=ae_title, help="take associations for this title only"
    )
    parser.add_argument("--window", metavar="N", type=int, default=8, help="operations at once")
    parser.add_argument(
        "--no-sync",
        action="store_true",
        help="answer before objects are on stable storage: a power cut may lose them",
    )
    _add_tls_options(parser)


def run(options: argparse.Namespace) -> int:
    template = None if options.no_sync else Template.start()
    try:
        return Loop().run(_listen(options, template))
    finally:
        if template is not None:
            template.close()


async def _listen(options: argparse.Namespace, template: Template | None) -> int:
    safe = None
    if template is not None:
        pool = WorkerPool(template, "sync", limit=4)

        async def in_worker(file: int, folder: int, uid: str) -> object:
            return await pool.call(keep_safe, uid, descriptors=(file, folder))

        safe = in_worker
    keeper = FolderKeeper(options.into, safe)
    entity = Entity(
        name=options.called or "LISTEN",
        title=options.called or "LISTEN",
        services=(
            ServiceTable(name="verification", service="verification"),
            ServiceTable(name="storage", service="storage"),
            ServiceTable(name="non-patient", service="non-patient-object-storage"),
        ),
        limits=EntityLimits(operations_performed=options.window),
        storage=StorageBehaviour(unknown_sop_classes="accept"),
    )
    offer = offer_of(entity, Configuration())
    support = StorageSupport(keeper)
    support.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    support.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    providers = providers_of(entity, support)

    def admit(request: AssociateRequest, caller: Caller) -> Admission | AssociateReject:
        if options.called and request.called_ae_title.strip() != options.called:
            return CALLED_AE_TITLE_NOT_RECOGNIZED
        return Admission(offer, providers, entity=entity.name)

    listener = Listener(admit)
    port = listener.bind(options.address, options.port, ssl_context=server_context(options))
    print(f"listening on port {port}, into {options.into}", flush=True)
    async with Signals(signal.SIGTERM, signal.SIGINT) as signals:
        await signals.receive()
    await listener.drain(5.0)
    keeper.close()
    print(f"{keeper.objects} objects received")
    return 0
