"""How much of the memory and patience of the upper layer a peer may use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UpperLayerLimits:
    """Bounds for what one peer can make the upper layer hold; all lengths in bytes.

    `maximum_associate_length` bounds an A-ASSOCIATE-RQ or -AC PDU, the only PDUs that are ever held
    whole. `maximum_transfer_syntaxes` counts those of one presentation context; `maximum_items`
    counts all items of one PDU, `maximum_user_items` the sub-items of its user information with the
    related general classes in them. With the defaults a PDU is decoded within 5 ms on a PC.

    A P-DATA-TF PDU is streamed, so its length is only a counter: `tolerate_longer_pdus` takes PDUs
    longer than the maximum length that we announced.
    """

    maximum_associate_length: int = 1 << 20
    maximum_transfer_syntaxes: int = 256
    maximum_items: int = 8192
    maximum_user_items: int = 2048
    tolerate_longer_pdus: bool = False
