"""Performed procedure steps that others reported to us (PS3.4 F.7): rows, changed in the worker.

Everything but `step` runs inside a transaction of the storage worker.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from agent.dataset.attributes import Attributes
from agent.dataset.attributes_encoding import decode_attributes, encode_attributes
from agent.dataset.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, TRANSFER_SYNTAXES

if TYPE_CHECKING:
    from agent.archive.store import Store

STATUS = "PerformedProcedureStepStatus"
IN_PROGRESS = "IN PROGRESS"
_SYNTAX = TRANSFER_SYNTAXES[EXPLICIT_VR_LITTLE_ENDIAN]


def pack(attributes: Attributes) -> bytes:
    """Attributes as they are kept: explicit VR little endian."""
    return encode_attributes(attributes, _SYNTAX)


def unpack(data: bytes) -> Attributes:
    """The attributes of `pack`. Raises PeerError for other bytes."""
    return decode_attributes(data, _SYNTAX)


def create(store: Store, sop_instance_uid: str, calling: str, attributes: bytes) -> bool:
    """Keep a new step; False where there is one of this UID."""
    now = time.time()
    status = unpack(attributes).text(STATUS)
    return bool(
        store.index.execute(
            "INSERT OR IGNORE INTO step VALUES (?, ?, ?, ?, ?, ?)",
            (sop_instance_uid, status, calling, now, now, attributes),
        ).rowcount
    )


def change(store: Store, sop_instance_uid: str, modification: bytes) -> str:
    """Change a step that is IN PROGRESS; the status that it had before, "" where there is none.

    One in a final state stays as it is (F.7.2.2.3).
    """
    row = store.index.execute(
        "SELECT status, attributes FROM step WHERE sop_instance_uid = ?", (sop_instance_uid,)
    ).fetchone()
    if row is None:
        return ""
    before, attributes = str(row[0]), row[1]
    if before == IN_PROGRESS:
        whole = unpack(attributes)
        whole.update(unpack(modification))
        store.index.execute(
            "UPDATE step SET status = ?, changed = ?, attributes = ? WHERE sop_instance_uid = ?",
            (whole.text(STATUS), time.time(), pack(whole), sop_instance_uid),
        )
    return before


def step(folder: str, sop_instance_uid: str) -> bytes | None:
    """A question to a reader worker: the attributes of a step, or None."""
    from agent.archive.reader_worker import ask

    rows = ask(
        folder, "SELECT attributes FROM step WHERE sop_instance_uid = ?", (sop_instance_uid,)
    )
    return bytes(rows[0][0]) if rows else None


def steps(folder: str, limit: int = 1000) -> list[tuple[str, str, str, float]]:
    """A question to a reader worker: UID, status, calling AE title and time, the last first."""
    from agent.archive.reader_worker import ask

    return [
        (str(uid), str(status), str(calling), float(changed))
        for uid, status, calling, changed in ask(
            folder,
            "SELECT sop_instance_uid, status, calling, changed FROM step"
            " ORDER BY changed DESC LIMIT ?",
            (limit,),
        )
    ]
