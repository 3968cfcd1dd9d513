"""What the commands that receive objects into a folder have in common."""

from __future__ import annotations

import argparse
from pathlib import Path

from agent.archive.decision import Origin
from agent.cli.options import server_contexts
from agent.configuration.configuration import Configuration
from agent.configuration.entity import Entity, EntityLimits, StorageBehaviour
from agent.configuration.entity import Service as ServiceTable
from agent.loop.workers import Template, WorkerPool
from agent.network.pdu import AssociateReject, AssociateRequest
from agent.network.rejection import CALLED_AE_TITLE_NOT_RECOGNIZED
from agent.network.transport import Admission, Caller, Listener
from agent.services.offer import offer_of, providers_of
from agent.services.service import StorageSupport
from agent.services.storage import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from agent.workflow.folder_keeper import Arriving, FolderKeeper, Kept, Safe, keep_safe


def add_no_sync_option(parser: argparse.ArgumentParser) -> None:
    """`no_sync`: whether objects are answered before they are safe."""
    parser.add_argument(
        "--no-sync",
        action="store_true",
        help="answer before objects are on stable storage: a power cut may lose them",
    )


def safe_way(template: Template | None) -> Safe | None:
    """How objects are made safe before they are answered; without `template`, not at all."""
    if template is None:
        return None
    pool = WorkerPool(template, "sync", limit=4)

    async def in_worker(file: int, folder: int, uid: str) -> object:
        return await pool.call(keep_safe, uid, descriptors=(file, folder))

    return in_worker


class ReceivingKeeper(FolderKeeper):
    """A folder that knows which objects came into it. Memory: a UID for each of them."""

    def __init__(self, folder: Path, safe: Safe | None) -> None:
        super().__init__(folder, safe)
        self.received: set[str] = set()

    async def commit(self, reception: Arriving, origin: Origin) -> Kept:
        kept = await super().commit(reception, origin)
        if kept.status == 0:
            self.received.add(origin.sop_instance_uid)
        return kept


def receiving_entity(title: str, window: int) -> Entity:
    """One that takes everything there is, under any title for ""."""
    return Entity(
        name=title or "LISTEN",
        title=title or "LISTEN",
        services=(
            ServiceTable(name="verification", service="verification"),
            ServiceTable(name="storage", service="storage"),
            ServiceTable(name="non-patient", service="non-patient-object-storage"),
        ),
        limits=EntityLimits(operations_performed=window),
        storage=StorageBehaviour(unknown_sop_classes="accept"),
    )


def listening(
    options: argparse.Namespace, keeper: FolderKeeper, title: str, port: int, *, window: int = 8
) -> tuple[Listener, int]:
    """A listener that takes objects for `title` (any, for ""), and its port. Raises OSError."""
    entity = receiving_entity(title, window)
    offer = offer_of(entity, Configuration())
    support = StorageSupport(keeper)
    support.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    support.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    providers = providers_of(entity, support)

    def admit(request: AssociateRequest, caller: Caller) -> Admission | AssociateReject:
        if title and request.called_ae_title.strip() != title:
            return CALLED_AE_TITLE_NOT_RECOGNIZED
        return Admission(offer, providers, entity=entity.name)

    listener = Listener(admit)
    return listener, listener.bind(options.address, port, secured=server_contexts(options))
