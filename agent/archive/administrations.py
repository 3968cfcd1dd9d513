"""Substances that were administered (PS3.4 P.3): a journal that only grows, one line each.

It lies beside the index, not in it: it is the one thing here that no object can be asked for again,
so it outlives an index that has to be rebuilt, and a person can read it with any tool. Each line is
JSON: `received` (seconds since 1970), `calling`, `entity`, and the `administration` itself as
PS3.18 F writes it.

Everything here blocks and runs in a worker.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.archive import failure
from agent.archive.layout import ADMINISTRATIONS
from agent.dataset.whole_write import sync_folder, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOOKED_BACK = 1 << 16
"""Bytes at the end in which an administration that comes again is looked for."""

_MOST_READ = 16 << 20


def add_administration(folder: str, record: Mapping[str, Any]) -> bool:
    """Add one, durably; False where it is among the last already: its answer was lost.

    Raises StorageError where the disk fails; nothing of it stays then.
    """
    path = Path(folder) / ADMINISTRATIONS
    line = json.dumps(record, ensure_ascii=False).encode() + b"\n"
    try:
        with _opened(path) as descriptor:
            size = os.fstat(descriptor).st_size
            last = os.pread(descriptor, _LOOKED_BACK, max(0, size - _LOOKED_BACK))
            told = (record["calling"], record["administration"])
            if any((each["calling"], each["administration"]) == told for each in _records(last)):
                return False
            # What a crash cut off stays a line of its own, which nobody takes for a record.
            begin = b"" if last.endswith(b"\n") or not last else b"\n"
            try:
                write_whole(descriptor, begin + line)
                os.fdatasync(descriptor)
            except OSError:
                os.ftruncate(descriptor, size)
                raise
            if not last.endswith(b"\n"):
                sync_folder(path.parent)
    except OSError as error:
        raise failure.of_system(error, "record the administration") from error
    return True


def administrations(folder: str, limit: int = 100, patient_id: str = "") -> list[dict[str, Any]]:
    """A question to a reader worker: the last ones, the last first; all, or those of a patient.

    Looks at the last 16 MiB. Raises StorageError.
    """
    path = Path(folder) / ADMINISTRATIONS
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _MOST_READ))
            found = list(_records(file.read()))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise failure.of_system(error, "read the administrations") from error
    found.reverse()
    return [each for each in found if not patient_id or _patient_of(each) == patient_id][:limit]


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """The journal, of which one worker at a time holds the lock."""
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _records(data: bytes) -> Iterator[dict[str, Any]]:
    for line in data.split(b"\n"):
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and {"calling", "administration"} <= record.keys():
            yield record


def _patient_of(record: Mapping[str, Any]) -> str:
    values = record["administration"].get("00100020", {}).get("Value") or [""]
    return str(values[0])
