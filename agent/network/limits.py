"""How much of the memory and patience of the upper layer a peer may use."""

from __future__ import annotations

from dataclasses import dataclass, field
from weakref import WeakSet

ORDINARY_ASSOCIATE = 1 << 16
"""Bytes: 128 presentation contexts with a dozen transfer syntaxes each have fewer."""


@dataclass(frozen=True, slots=True)
class UpperLayerLimits:
    """Bounds for what one peer can make the upper layer hold; all lengths in bytes.

    `maximum_associate_length` bounds an A-ASSOCIATE-RQ or -AC PDU, the only PDUs that are ever held
    whole. `maximum_transfer_syntaxes` counts those of one presentation context; `maximum_items`
    counts all items of one PDU, `maximum_user_items` the sub-items of its user information with the
    related general classes in them. With the defaults a PDU is decoded within 5 ms on a PC.

    An A-ASSOCIATE PDU of more than `ORDINARY_ASSOCIATE` bytes is held for as long as its peer takes
    to send it: of all connections that share these limits, `maximum_long_associates` may do so at a
    time. `long_associates` are those.

    A P-DATA-TF PDU is streamed, so its length is only a counter: `tolerate_longer_pdus` takes PDUs
    longer than the maximum length that we announced.
    """

    maximum_associate_length: int = 1 << 20
    maximum_transfer_syntaxes: int = 256
    maximum_items: int = 8192
    maximum_user_items: int = 2048
    tolerate_longer_pdus: bool = False
    maximum_long_associates: int = 16
    long_associates: WeakSet[object] = field(default_factory=WeakSet, compare=False, repr=False)
