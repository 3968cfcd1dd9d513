"""What a crash left: objects with a name and no row, at start or for a rebuild of the index.

Nobody was told that they are safe; those that are whole are indexed all the same, with the jobs
that the rules want, so that it does not matter when exactly the plug was pulled.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice

from agent import observation
from agent.archive.arrival import Arrival
from agent.archive.change import Change
from agent.archive.confirmation import confirm
from agent.archive.decision import Origin
from agent.archive.store import Store
from agent.archive.worker_answers import Recovery
from agent.dataset.byte_source import FileBytes, decoded
from agent.dataset.file_meta import FileMeta, read_file_meta
from agent.dataset.reader import Element, FragmentStart, elements, read_exactly
from agent.dataset.value_representations import UNDEFINED_LENGTH
from agent.errors import GantryError, StorageError
from agent.quoting import Sentence

_AT_ONCE = 64


def recover(store: Store) -> Recovery:
    """Put right what a crash left. Costs the same for any size of the archive.

    Raises nothing for one object's sake; StorageError when the index cannot be written.
    """
    result = Recovery(taken_back=confirm(store))
    release = Change(store.queue.resume)
    store.process((), (release,))
    if release.error is not None:
        raise release.error
    result.released_jobs = release.result
    without_rows = store.spool.numbers_above(store.last_number)
    take_in(store, without_rows, result, may_be_torn=True)
    return result


def take_in(
    store: Store, numbers: Iterable[int], result: Recovery, *, may_be_torn: bool = False
) -> None:
    """Index the files of these numbers, which have no rows."""
    remaining = iter(numbers)
    while group := list(islice(remaining, _AT_ONCE)):
        store.use_up(group[-1])
        if may_be_torn:
            store.spool.sync_whole()
        arrivals = [
            each for number in group for each in _arrival(store, number, result, may_be_torn)
        ]
        store.process(arrivals)
        for each in arrivals:
            os.close(each.descriptor)
            if each.verdict is not None and each.verdict.is_stored:
                result.indexed += 1
            elif not each.number:
                why = each.verdict.comment if each.verdict is not None else each.error
                _set_aside(store, each.recovered_number, why, result)
            else:
                observation.error("object not indexed", object=each.number, error=each.error)


def _arrival(store: Store, number: int, result: Recovery, may_be_torn: bool) -> Iterator[Arrival]:
    try:
        descriptor = store.spool.open_object(number)
    except OSError as error:
        _set_aside(store, number, error, result)
        return
    try:
        meta = read_file_meta(descriptor)
        if may_be_torn:
            _check_whole(descriptor, meta)
    except GantryError as error:
        os.close(descriptor)
        _set_aside(store, number, error, result)
        return
    # All that is left of where it came from stands in its file meta information.
    origin = Origin(
        calling=meta.sending_application_entity_title or meta.source_application_entity_title,
        called=meta.receiving_application_entity_title,
        received=os.fstat(descriptor).st_mtime,
    )
    yield Arrival(descriptor, "", origin, recovered_number=number)


def _check_whole(descriptor: int, meta: FileMeta) -> None:
    """Raises GantryError for an object that ends too soon, or has a hole: one may have got its name
    on the disk before its bytes."""
    size = os.fstat(descriptor).st_size
    if os.lseek(descriptor, 0, os.SEEK_HOLE) < size:
        raise StorageError("The file has a hole.", value=size)
    source = decoded(FileBytes(descriptor, meta.data_set_offset), meta.encoding)
    last: Element | FragmentStart | None = None
    for event in elements(source, meta.encoding, through_bulk=True):
        if isinstance(event, Element | FragmentStart):
            last = event
    if last is not None and last.length not in (0, UNDEFINED_LENGTH):
        read_exactly(source, last.value_offset + last.length - 1, 1)


def _set_aside(store: Store, number: int, why: object, result: Recovery) -> None:
    result.set_aside += 1
    try:
        path = store.spool.set_aside(number)
    except OSError as error:
        observation.error("file is no object", object=number, why=why, stays=error)
    else:
        observation.warning("file is no object", object=number, why=why, moved=Sentence(str(path)))
