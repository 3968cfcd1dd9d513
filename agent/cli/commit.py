"""`gantry commit`: ask a peer to commit to objects, and wait for its answer (PS3.4 J)."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from agent.cli.options import add_peer_options, seconds
from agent.cli.options import port as port_number
from agent.cli.requestor import associate
from agent.configuration.configuration import Configuration
from agent.configuration.entity import Entity
from agent.configuration.entity import Service as ServiceTable
from agent.dataset.file_meta import read_file_meta
from agent.dataset.sop_classes import STORAGE_COMMITMENT_PUSH_MODEL
from agent.dataset.uid import new_uid
from agent.errors import ConfigurationError, LocalError, PeerError
from agent.loop import Event, Loop, TaskGroup, TimedOut, timeout
from agent.network.association import Association
from agent.network.negotiation import propose
from agent.network.pdu import AssociateReject, AssociateRequest
from agent.network.status import SUCCESS, status_text
from agent.network.transport import Admission, Caller, Listener
from agent.services.offer import offer_of
from agent.services.storage_commitment import (
    CommitmentProvider,
    CommitmentResult,
    Reference,
    commitment_need,
    request_commitment,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_peer_options(parser)
    parser.add_argument(
        "paths", metavar="PATH", nargs="+", type=Path, help="DICOM files and folders of them"
    )
    parser.add_argument(
        "--port",
        metavar="P",
        type=port_number,
        help="listen here for the answer: most archives open an association of their own",
    )
    parser.add_argument(
        "--wait", metavar="SECONDS", type=seconds, default=60.0, help="how long (default 60)"
    )


class _Waiting:
    """One transaction of ours."""

    def __init__(self, uid: str) -> None:
        self.uid = uid
        self.there = Event()
        self.result: CommitmentResult | None = None

    async def asked(self, *_: object) -> bool:
        raise LocalError("This command commits to nothing.")

    async def answered(self, result: CommitmentResult, association: Association) -> bool:
        if result.transaction_uid != self.uid:
            return False
        self.result = result
        self.there.set()
        return True


def run(options: argparse.Namespace) -> int:
    references = [each for path in options.paths for each in _references(path)]
    if not references:
        raise ConfigurationError("there is no DICOM file", value=str(options.paths[0]))
    return Loop().run(_commit(options, references))


def _references(path: Path) -> list[Reference]:
    files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
    found = []
    for file in files:
        try:
            descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise ConfigurationError(
                f"{file} cannot be read: {error.strerror}", value=str(file)
            ) from error
        try:
            meta = read_file_meta(descriptor, tolerate=True)
        except PeerError:
            if path.is_dir():
                continue  # Other files may lie among them.
            raise
        finally:
            os.close(descriptor)
        if meta.media_storage_sop_instance_uid:
            found.append(
                Reference(meta.media_storage_sop_class_uid, meta.media_storage_sop_instance_uid)
            )
    return found


async def _commit(options: argparse.Namespace, references: list[Reference]) -> int:
    waiting = _Waiting(new_uid())
    provider = CommitmentProvider(waiting)
    async with TaskGroup() as group:
        listener = _listen(options, provider)
        association = await associate(options, propose([commitment_need()])[0])
        association.providers = {
            number: provider
            for number, context in association.contexts.items()
            if context.abstract_syntax == STORAGE_COMMITMENT_PUSH_MODEL
        }
        response = await request_commitment(association, waiting.uid, references)
        if response.status == SUCCESS:
            try:
                with timeout(options.wait):
                    await waiting.there.wait()
            except TimedOut:
                pass
        await association.release()
        if listener is not None:
            await listener.drain(1.0)
        group.cancel()
    if response.status != SUCCESS:
        print(f"{options.called}: {status_text(response.status)} {response.comment}".rstrip())
        return 1
    return _show(options, waiting.result)


def _listen(options: argparse.Namespace, provider: CommitmentProvider) -> Listener | None:
    if options.port is None:
        return None
    entity = Entity(
        name=options.calling,
        title=options.calling,
        services=(ServiceTable(name="commitment", service="commitment", roles=("scu",)),),
    )
    offer = offer_of(entity, Configuration())

    def admit(request: AssociateRequest, caller: Caller) -> Admission | AssociateReject:
        return Admission(offer, {STORAGE_COMMITMENT_PUSH_MODEL: provider}, entity=entity.name)

    listener = Listener(admit)
    listener.bind("0.0.0.0", options.port)
    return listener


def _show(options: argparse.Namespace, result: CommitmentResult | None) -> int:
    if result is None:
        print(f"{options.called}: no answer within {options.wait:g} s")
        return 1
    if options.json:
        print(
            json.dumps(
                {
                    "transaction": result.transaction_uid,
                    "committed": [each.sop_instance_uid for each in result.committed],
                    "failed": {
                        each.reference.sop_instance_uid: each.words for each in result.failed
                    },
                }
            )
        )
    else:
        print(f"{options.called}: {len(result.committed)} committed, {len(result.failed)} failed")
        for each in result.failed:
            print(f"  {each.reference.sop_instance_uid}  {each.words}")
    return 1 if result.failed else 0
