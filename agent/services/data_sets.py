"""Data sets of messages in the transfer syntax of their presentation context (PS3.7 6.3.1)."""

from __future__ import annotations

from agent.dataset.attributes import Attributes
from agent.dataset.attributes_encoding import decode_attributes, encode_attributes
from agent.dataset.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TRANSFER_SYNTAXES,
)
from agent.errors import PeerError, StatusReaction
from agent.network.association import Association, IncomingRequest
from agent.network.data_set import BytesSource, MemorySink
from agent.network.negotiation import PresentationContext
from agent.network.status import UNRECOGNIZED_OPERATION

MESSAGE_SYNTAXES = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
"""What is proposed for messages without images: the default transfer syntax is among them."""

LARGEST_DATA_SET = 1 << 20
"""Bytes of a data set that a peer may send us with a request of these services."""


def encoded(attributes: Attributes, context: PresentationContext) -> BytesSource:
    """The data set as it goes out on this context. Raises LocalError for text that cannot."""
    return BytesSource(encode_attributes(attributes, TRANSFER_SYNTAXES[context.transfer_syntax]))


def decoded_from(data: bytes | None, context: PresentationContext) -> Attributes:
    """A data set that came in on this context; none is an empty one. Raises PeerError."""
    if not data:
        return Attributes()
    return decode_attributes(data, TRANSFER_SYNTAXES[context.transfer_syntax])


def data_set_of(request: IncomingRequest) -> Attributes:
    """The data set of a request whose sink was made here. Raises PeerError."""
    sink = request.sink
    return decoded_from(sink.value if isinstance(sink, MemorySink) else None, request.context)


def sink_for(request: IncomingRequest, fields: frozenset[int], clause: str) -> MemorySink | None:
    """A sink in memory for one of these operations; refuses every other with 0211H."""
    if request.command.field not in fields:
        comment = "Operation is not one of this SOP class"
        raise PeerError(
            comment, clause=clause, reaction=StatusReaction(UNRECOGNIZED_OPERATION, comment)
        )
    return MemorySink(LARGEST_DATA_SET) if request.command.data_set_present else None


def context_for(association: Association, sop_class_uid: str, name: str) -> PresentationContext:
    """The accepted context on which we are SCU. Raises PeerError where the peer took none."""
    context = association.contexts.find(sop_class_uid, scu=True)
    if context is None:
        raise PeerError(
            f"the peer does not accept {name} on this association",
            clause="PS3.8 7.1.1.14",
            value=sop_class_uid,
        )
    return context


def extended_information(association: Association, sop_class_uid: str) -> bytes:
    """What both sides agreed on by SOP Class Extended Negotiation; empty where nothing."""
    said = association.associate_accept
    asked = association.associate_request
    if said is None or asked is None:
        return b""
    if not any(each.sop_class_uid == sop_class_uid for each in asked.user_information.extended):
        return b""
    return next(
        (
            each.information
            for each in said.user_information.extended
            if each.sop_class_uid == sop_class_uid
        ),
        b"",
    )
