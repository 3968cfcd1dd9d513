"""A copy of a stored object in another transfer syntax, made in a worker while it is sent.

The worker writes into a pipe what the association reads from it, so that no second copy lies on
disk and neither runs ahead of the other. Lossy compression alone must be finished before the first
byte, as the head tells the ratio (PS3.3 C.7.6.1.1.5.2): the worker keeps those frames in a nameless
file of its own.

Memory of the node for each copy: 256 KiB and the pipe.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from agent.archive.records import StoredObject
from agent.codecs.codec import EncodeSettings
from agent.errors import GantryError, LocalError, StorageError
from agent.loop import Limit, TaskGroup, current_loop, readable
from agent.loop.workers import WorkerPool
from agent.network.data_set import ArrivingSource
from agent.network.sending import PIECE
from agent.quoting import quoted
from agent.workflow.conversion_worker import write_converted
from agent.workflow.signatures_anew import SignaturesAnew

if TYPE_CHECKING:
    from agent.configuration.deidentification import Deidentify


class Converter:
    """Makes copies in workers of `pool`; `limit` says how many at once for one peer."""

    def __init__(
        self,
        pool: WorkerPool,
        limit: Limit,
        settings: EncodeSettings,
        sign_anew: SignaturesAnew | None,
    ) -> None:
        self.pool = pool
        self.limit = limit
        self.settings = settings
        self.sign_anew = sign_anew

    async def start(
        self,
        group: TaskGroup,
        stored: StoredObject,
        transfer_syntax: str,
        sop_class_uid: str,
        rule: Deidentify | None = None,
    ) -> ConvertedCopy:
        """Begin a copy, de-identified by `rule`; close it when it is sent, or will not be.

        Raises LocalError when the object cannot be had in this transfer syntax, PeerError when it
        is not what its own says, StorageError when it cannot be read.
        """
        copy = ConvertedCopy()
        try:
            group.start(
                copy.make(self, stored, transfer_syntax, sop_class_uid, rule), "converted copy"
            )
            await copy.begin()
        except BaseException:
            copy.close()
            raise
        return copy


class ConvertedCopy(ArrivingSource):
    """The data set of a copy as it comes out of the worker."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        self._arrived = bytearray()
        self._ended = False
        self._error: GantryError | None = None
        self.new_instance_uid = ""
        """The SOP Instance UID of the copy where it is another image than the one stored."""

    async def make(
        self,
        converter: Converter,
        stored: StoredObject,
        transfer_syntax: str,
        sop_class_uid: str,
        rule: Deidentify | None,
    ) -> None:
        """Have it made. What goes wrong is told to who reads."""
        try:
            await converter.limit.acquire()
            try:
                await converter.pool.call(
                    write_converted,
                    stored.path,
                    stored.data_set_offset,
                    stored.transfer_syntax_uid,
                    transfer_syntax,
                    "" if sop_class_uid == stored.sop_class_uid else sop_class_uid,
                    stored.payload,
                    converter.settings,
                    stored.form,
                    rule,
                    converter.sign_anew,
                    descriptors=(self._write,),
                )
            finally:
                converter.limit.release()
        except GantryError as error:
            self._error = error
        finally:
            # The reader sees the end of the pipe when the last copy of this descriptor is closed.
            os.close(self._write)

    async def begin(self) -> None:
        """Wait until it is known that the copy can be made. Raises what the worker raised."""
        while not self._arrived or len(self._arrived) <= self._arrived[0]:
            if not await self._take(1):
                raise self._error or LocalError("the converted copy never began")
        length = self._arrived[0]
        self.new_instance_uid = self._arrived[1 : 1 + length].decode("ascii")
        del self._arrived[: 1 + length]

    async def arrive(self) -> None:
        while len(self._arrived) < PIECE:
            if not await self._take(PIECE - len(self._arrived)):
                if self._error is not None:
                    raise StorageError(
                        f"the object cannot be converted to its end: {quoted(self._error)}",
                        value=self._error.value,
                    ) from self._error
                return

    async def _take(self, most: int) -> bool:
        """Read on; False at the end of the pipe."""
        while not self._ended:
            try:
                piece = os.read(self._read, most if most > 1 else PIECE)
            except BlockingIOError:
                await readable(self._read)
                continue
            self._arrived += piece
            self._ended = not piece
            return bool(piece)
        return False

    def read_into(self, view: memoryview, position: int) -> int:
        count = min(len(view), len(self._arrived))
        view[:count] = self._arrived[:count]
        del self._arrived[:count]
        return count

    def close(self) -> None:
        """The worker, if it still writes, finds nobody reading and stops."""
        if self._read >= 0:
            current_loop().forget(self._read)
            os.close(self._read)
            self._read = -1
