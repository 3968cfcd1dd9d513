"""Compression on receipt: images that come in uncompressed are stored compressed, without loss.

The sender hears success when the compressed image is safe; the one that came is then let go. What
no rule is for, and what cannot be compressed, is stored as it came.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agent import observation
from agent.archive.decision import Origin
from agent.archive.reception import Reception
from agent.codecs.codec import EncodeSettings
from agent.codecs.registry import is_available
from agent.configuration.compression import ReceivedCompression
from agent.dataset.file_meta import FileMeta, encode_file_meta, read_file_meta
from agent.dataset.transfer_syntaxes import encoding_of
from agent.errors import LocalError, PeerError, StatusReaction
from agent.loop.workers import WorkerPool
from agent.services.keeping import Keeper, Verdict
from agent.workflow.conversion_worker import write_compressed
from agent.workflow.signatures_anew import SignaturesAnew


class CompressingKeeper:
    """A keeper that compresses first, then keeps."""

    def __init__(
        self,
        keeper: Keeper,
        rules: Sequence[ReceivedCompression],
        pool: WorkerPool,
        implementation: tuple[str, str],
        sign_anew: SignaturesAnew | None,
    ) -> None:
        self._keeper = keeper
        self._rules = rules
        self._pool = pool
        self._implementation = implementation
        self._sign_anew = sign_anew

    def refusal(self) -> StatusReaction | None:
        return self._keeper.refusal()

    def receive(self, file_meta: bytes) -> Any:
        return self._keeper.receive(file_meta)

    async def commit(self, reception: Reception, origin: Origin) -> Verdict:
        """As the keeper that it stands before. Raises StorageError when there is no room."""
        compressed = await self._compressed(reception, origin)
        if compressed is None:
            return await self._keeper.commit(reception, origin)
        with compressed:
            reception.discard()
            return await self._keeper.commit(compressed, origin)

    async def _compressed(self, reception: Reception, origin: Origin) -> Reception | None:
        rule = self._rule(origin)
        if rule is None:
            return None
        meta = read_file_meta(reception.descriptor)
        if meta.encoding.encapsulated:
            return None
        for uid in rule.to:
            if not is_available(uid):
                continue
            compressed: Reception = self._keeper.receive(self._file_meta(meta, uid))
            try:
                if await self._write(reception, compressed, meta, uid):
                    return compressed
            except LocalError as error:
                observation.debug("not compressed", to=encoding_of(uid).name, error=error)
            except PeerError as error:
                # Not what its transfer syntax says: whether it is kept is for the archive to say.
                observation.info("not compressed", error=error)
                compressed.discard()
                return None
            except BaseException:
                compressed.discard()
                raise
            compressed.discard()
        return None

    async def _write(
        self, reception: Reception, compressed: Reception, meta: FileMeta, uid: str
    ) -> bool:
        done: bool = await self._pool.call(
            write_compressed,
            meta.data_set_offset,
            meta.encoding_uid,
            uid,
            EncodeSettings(),
            self._sign_anew,
            descriptors=(reception.descriptor, compressed.descriptor),
        )
        return done

    def _rule(self, origin: Origin) -> ReceivedCompression | None:
        for rule in self._rules:
            if (
                (not rule.calling or origin.calling in rule.calling)
                and (not rule.entities or origin.entity in rule.entities)
                and (not rule.sop_classes or origin.sop_class_uid in rule.sop_classes)
            ):
                return rule
        return None

    def _file_meta(self, meta: FileMeta, uid: str) -> bytes:
        class_uid, version_name = self._implementation
        return encode_file_meta(
            sop_class_uid=meta.media_storage_sop_class_uid,
            sop_instance_uid=meta.media_storage_sop_instance_uid,
            transfer_syntax_uid=uid,
            implementation_class_uid=class_uid,
            implementation_version_name=version_name,
            source_ae_title=meta.source_application_entity_title,
            receiving_ae_title=meta.receiving_application_entity_title,
        )
