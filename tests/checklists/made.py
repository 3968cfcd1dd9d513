"""Small objects of any SOP class, encoded here and not by the code under test."""

from __future__ import annotations

from tests.peers.raw_pdu import c_store_request, proposed_context, status_of
from tests.peers.raw_peer import RawPeer

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"


def _uid(text: str) -> bytes:
    data = text.encode()
    return data + b"\0" if len(data) % 2 else data


def _element(tag: int, vr: bytes, value: bytes) -> bytes:
    head = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little") + vr
    if vr in (b"OW", b"OB", b"UN"):
        return head + bytes(2) + len(value).to_bytes(4, "little") + value
    return head + len(value).to_bytes(2, "little") + value


def instance_uid(number: int) -> str:
    return f"1.2.826.0.1.3680043.9.9.{number}"


def made(
    number: int,
    sop_class: str = CT,
    *,
    patient_id: bytes = b"P1",
    study: int | None = None,
    size: int = 400,
) -> tuple[str, bytes]:
    """(SOP Instance UID, data set in explicit little endian), with Type 3 and private elements.

    An empty Type 3 element, one of an unknown VR, and a private one in a group of its own are
    among them: all that a receiver below storage level 2 might lose (PS3.4 B.4.1.1).
    """
    uid = instance_uid(number)
    study = number if study is None else study
    return uid, b"".join(
        [
            _element(0x00080016, b"UI", _uid(sop_class)),
            _element(0x00080018, b"UI", _uid(uid)),
            _element(0x00080060, b"CS", b"OT"),
            _element(0x00081030, b"LO", b"Type 3"),
            _element(0x00090010, b"LO", b"GANTRY TEST "),
            _element(0x00091001, b"UN", bytes(range(10))),
            _element(0x00100020, b"LO", patient_id),
            _element(0x00104000, b"LT", b""),
            _element(0x0020000D, b"UI", _uid(f"1.2.826.0.1.3680043.9.8.{study}")),
            _element(0x0020000E, b"UI", _uid(f"1.2.826.0.1.3680043.9.7.{study}")),
            _element(0x00290010, b"LO", b"GANTRY TEST "),
            _element(0x00291001, b"OB", number.to_bytes(4, "little") * (size // 4)),
        ]
    )


def store(
    peer: RawPeer, number: int, sop_class: str = CT, *, context: int = 1, size: int = 400
) -> int:
    """C-STORE of `made(number)`; the status."""
    uid, data = made(number, sop_class, size=size)
    peer.send_message(context, c_store_request(sop_class, uid, number % 60000 + 1), data)
    return status_of(peer.receive_message().command)


def store_all(port: int, *numbered: tuple[int, str], called: str = "GANTRY") -> list[int]:
    """Each (number, SOP class) over one association, in explicit little endian; the statuses."""
    classes = list(dict.fromkeys(sop_class for _, sop_class in numbered))
    contexts = {uid: 2 * index + 1 for index, uid in enumerate(classes)}
    with RawPeer.connect(port) as peer:
        peer.associate(
            *(proposed_context(contexts[uid], uid, EXPLICIT) for uid in classes), called=called
        )
        found = [store(peer, number, uid, context=contexts[uid]) for number, uid in numbered]
        peer.release()
        return found
