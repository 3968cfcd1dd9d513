"""The seven PDUs of PS3.8 9.3: A-ASSOCIATE-RQ, -AC, -RJ, P-DATA-TF, A-RELEASE-RQ, -RP, A-ABORT.

`encode()` gives a PDU with its six header bytes; `decode(body)` takes what follows them. A
P-DATA-TF PDU has no object: it is streamed by `upper_layer` and written by `fragmentation`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from agent.errors import LocalError
from agent.network.item import (
    INVALID_PDU_PARAMETER_VALUE,
    REASON_NOT_SPECIFIED,
    SERVICE_PROVIDER,
    SERVICE_USER,
    UNEXPECTED_PDU,
    UNEXPECTED_PDU_PARAMETER,
    UNRECOGNIZED_PDU,
    UNRECOGNIZED_PDU_PARAMETER,
    ItemBudget,
    decode_uid,
    encode_item,
    encode_number,
    encode_text,
    encode_uid,
    invalid,
    items,
)
from agent.network.limits import UpperLayerLimits
from agent.network.presentation_context import (
    PROPOSAL_ITEM,
    RESULT_ITEM,
    PresentationContextProposal,
    PresentationContextResult,
    decode_proposal,
    decode_result,
)
from agent.network.user_information import (
    MAXIMUM_LENGTH_WHEN_ABSENT,
    USER_INFORMATION_ITEM,
    UserInformation,
    decode_user_information,
)

A_ASSOCIATE_RQ = 0x01
A_ASSOCIATE_AC = 0x02
A_ASSOCIATE_RJ = 0x03
P_DATA_TF = 0x04
A_RELEASE_RQ = 0x05
A_RELEASE_RP = 0x06
A_ABORT = 0x07

PDU_NAMES = {
    A_ASSOCIATE_RQ: "A-ASSOCIATE-RQ",
    A_ASSOCIATE_AC: "A-ASSOCIATE-AC",
    A_ASSOCIATE_RJ: "A-ASSOCIATE-RJ",
    P_DATA_TF: "P-DATA-TF",
    A_RELEASE_RQ: "A-RELEASE-RQ",
    A_RELEASE_RP: "A-RELEASE-RP",
    A_ABORT: "A-ABORT",
}

APPLICATION_CONTEXT_ITEM = 0x10
# PS3.7 Annex A.2.1: the one application context of DICOM.
DICOM_APPLICATION_CONTEXT_NAME = "1.2.840.10008.3.1.1.1"

PROTOCOL_VERSION = 1

PDU_HEADER = struct.Struct(">BxI")
# The header of a P-DATA-TF PDU and of its first presentation-data-value item (9.3.5).
P_DATA_HEADER = struct.Struct(">BxIIBB")
PDV_HEADER = struct.Struct(">IBB")

_FIXED_FIELDS = struct.Struct(">H2x16s16s32s")
_NO_LIMITS_GIVEN = UpperLayerLimits()

# Table 9-26 in words.
ABORT_SOURCE_TEXTS = {SERVICE_USER: "service-user", SERVICE_PROVIDER: "service-provider"}
ABORT_REASON_TEXTS = {
    REASON_NOT_SPECIFIED: "reason-not-specified",
    UNRECOGNIZED_PDU: "unrecognized-PDU",
    UNEXPECTED_PDU: "unexpected-PDU",
    UNRECOGNIZED_PDU_PARAMETER: "unrecognized-PDU parameter",
    UNEXPECTED_PDU_PARAMETER: "unexpected-PDU parameter",
    INVALID_PDU_PARAMETER_VALUE: "invalid-PDU-parameter value",
}


def p_data_header(context: int, command: bool, last: bool, length: int) -> bytes:
    """The twelve bytes in front of a PDV value of `length` bytes that is alone in its PDU."""
    return P_DATA_HEADER.pack(P_DATA_TF, length + 6, length + 2, context, command | last << 1)


def _encode_ae_title(title: str) -> bytes:
    """Sixteen characters; leading and trailing spaces are not significant (9.3.2, PS3.5 6.2)."""
    text = encode_text(title.strip(" "), "the AE title", "PS3.8 9.3.2")
    if not text or len(text) > 16 or b"\\" in text or any(byte < 32 or byte > 126 for byte in text):
        raise LocalError(
            "an AE title is 1 to 16 printable ISO 646 characters without backslash",
            clause="PS3.8 9.3.2",
            value=title,
            limit=16,
        )
    return text.ljust(16)


def _decode_ae_title(raw: bytes) -> str:
    # Some peers pad with NUL instead of spaces. A blank title is for the acceptor to refuse.
    return raw.decode("latin-1").rstrip("\0 ").lstrip(" ")


def _numbers(*numbers: int) -> list[bytes]:
    return [encode_number(number, 1) for number in numbers]


def _pdu(kind: int, *parts: bytes) -> bytes:
    return b"".join((PDU_HEADER.pack(kind, sum(map(len, parts))), *parts))


def _fixed_fields(
    version: int, called_ae_title: str, calling_ae_title: str, title_fields: bytes
) -> bytes:
    raw = title_fields or (
        _encode_ae_title(called_ae_title) + _encode_ae_title(calling_ae_title) + bytes(32)
    )
    return encode_number(version, 2) + bytes(2) + raw


@dataclass(frozen=True, slots=True)
class AssociateRequest:
    """A-ASSOCIATE-RQ (9.3.2). AE titles are without their padding."""

    called_ae_title: str
    calling_ae_title: str
    application_context_name: str
    presentation_contexts: tuple[PresentationContextProposal, ...]
    user_information: UserInformation
    protocol_version: int = PROTOCOL_VERSION
    # Bytes 11 to 74 as received, which an A-ASSOCIATE-AC returns unchanged (9.3.3).
    title_fields: bytes = field(default=b"", compare=False, repr=False)

    def encode(self) -> bytes:
        """Raises LocalError for what cannot be said in the fields of the PDU."""
        return _pdu(
            A_ASSOCIATE_RQ,
            _fixed_fields(self.protocol_version, self.called_ae_title, self.calling_ae_title, b""),
            encode_item(APPLICATION_CONTEXT_ITEM, encode_uid(self.application_context_name)),
            *(context.encode() for context in self.presentation_contexts),
            self.user_information.encode(),
        )

    @staticmethod
    def decode(
        body: bytes | bytearray | memoryview, limits: UpperLayerLimits = _NO_LIMITS_GIVEN
    ) -> AssociateRequest:
        """Raises PeerError with the abort to answer with. Unknown items are skipped (9.3.1)."""
        clause = "PS3.8 9.3.2"
        version, called, calling, reserved, rest = _decode_fixed_fields(body, clause)
        budget = ItemBudget(limits.maximum_items)
        seen: set[int] = set()
        application_context_name = ""
        contexts: list[PresentationContextProposal] = []
        information: UserInformation | None = None
        for kind, value in items(rest, budget, clause):
            if kind == PROPOSAL_ITEM:
                contexts.append(
                    decode_proposal(value, budget, seen, limits.maximum_transfer_syntaxes)
                )
            elif kind == APPLICATION_CONTEXT_ITEM:
                application_context_name = application_context_name or decode_uid(value)
            elif kind == USER_INFORMATION_ITEM:
                information = _user_information(information, value, limits, clause)
        return AssociateRequest(
            _decode_ae_title(called),
            _decode_ae_title(calling),
            application_context_name,
            tuple(contexts),
            information or UserInformation(MAXIMUM_LENGTH_WHEN_ABSENT, ""),
            version,
            called + calling + reserved,
        )


@dataclass(frozen=True, slots=True)
class AssociateAccept:
    """A-ASSOCIATE-AC (9.3.3). The titles are those of the request and are not tested."""

    called_ae_title: str
    calling_ae_title: str
    application_context_name: str
    presentation_contexts: tuple[PresentationContextResult, ...]
    user_information: UserInformation
    protocol_version: int = PROTOCOL_VERSION
    title_fields: bytes = field(default=b"", compare=False, repr=False)

    def encode(self) -> bytes:
        """Raises LocalError for what cannot be said in the fields of the PDU."""
        return _pdu(
            A_ASSOCIATE_AC,
            _fixed_fields(
                self.protocol_version,
                self.called_ae_title,
                self.calling_ae_title,
                self.title_fields,
            ),
            encode_item(APPLICATION_CONTEXT_ITEM, encode_uid(self.application_context_name)),
            *(context.encode() for context in self.presentation_contexts),
            self.user_information.encode(),
        )

    @staticmethod
    def decode(
        body: bytes | bytearray | memoryview, limits: UpperLayerLimits = _NO_LIMITS_GIVEN
    ) -> AssociateAccept:
        """Raises PeerError with the abort to answer with. Unknown items are skipped (9.3.1)."""
        clause = "PS3.8 9.3.3"
        version, called, calling, reserved, rest = _decode_fixed_fields(body, clause)
        budget = ItemBudget(limits.maximum_items)
        seen: set[int] = set()
        application_context_name = ""
        contexts: list[PresentationContextResult] = []
        information: UserInformation | None = None
        for kind, value in items(rest, budget, clause):
            if kind == RESULT_ITEM:
                contexts.append(decode_result(value, budget, seen))
            elif kind == APPLICATION_CONTEXT_ITEM:
                application_context_name = application_context_name or decode_uid(value)
            elif kind == USER_INFORMATION_ITEM:
                information = _user_information(information, value, limits, clause)
        return AssociateAccept(
            _decode_ae_title(called),
            _decode_ae_title(calling),
            application_context_name,
            tuple(contexts),
            information or UserInformation(MAXIMUM_LENGTH_WHEN_ABSENT, ""),
            version,
            called + calling + reserved,
        )


def _decode_fixed_fields(
    body: bytes | bytearray | memoryview, clause: str
) -> tuple[int, bytes, bytes, bytes, memoryview]:
    view = memoryview(body)
    if len(view) < _FIXED_FIELDS.size:
        raise invalid(
            "the PDU is too short for its fixed fields",
            clause=clause,
            value=len(view),
            limit=_FIXED_FIELDS.size,
        )
    version, called, calling, reserved = _FIXED_FIELDS.unpack_from(view)
    return version, called, calling, reserved, view[_FIXED_FIELDS.size :]


def _user_information(
    former: UserInformation | None, value: memoryview, limits: UpperLayerLimits, clause: str
) -> UserInformation:
    if former is not None:
        raise invalid(
            "there is more than one user information item",
            clause=clause,
            reason=UNEXPECTED_PDU_PARAMETER,
        )
    return decode_user_information(value, ItemBudget(limits.maximum_user_items))


def _four_bytes(body: bytes | bytearray | memoryview, kind: int, clause: str) -> memoryview:
    view = memoryview(body)
    if len(view) != 4:
        raise invalid(
            f"an {PDU_NAMES[kind]} PDU has the length 4", clause=clause, value=len(view), limit=4
        )
    return view


@dataclass(frozen=True, slots=True)
class AssociateReject:
    """A-ASSOCIATE-RJ (9.3.4, Table 9-21); `rejection` has the combinations by name."""

    result: int
    source: int
    reason: int

    def encode(self) -> bytes:
        return _pdu(A_ASSOCIATE_RJ, bytes(1), *_numbers(self.result, self.source, self.reason))

    @staticmethod
    def decode(body: bytes | bytearray | memoryview) -> AssociateReject:
        view = _four_bytes(body, A_ASSOCIATE_RJ, "PS3.8 9.3.4")
        return AssociateReject(view[1], view[2], view[3])


@dataclass(frozen=True, slots=True)
class ReleaseRequest:
    """A-RELEASE-RQ (9.3.6)."""

    def encode(self) -> bytes:
        return _pdu(A_RELEASE_RQ, bytes(4))

    @staticmethod
    def decode(body: bytes | bytearray | memoryview) -> ReleaseRequest:
        _four_bytes(body, A_RELEASE_RQ, "PS3.8 9.3.6")
        return ReleaseRequest()


@dataclass(frozen=True, slots=True)
class ReleaseResponse:
    """A-RELEASE-RP (9.3.7)."""

    def encode(self) -> bytes:
        return _pdu(A_RELEASE_RP, bytes(4))

    @staticmethod
    def decode(body: bytes | bytearray | memoryview) -> ReleaseResponse:
        _four_bytes(body, A_RELEASE_RP, "PS3.8 9.3.7")
        return ReleaseResponse()


@dataclass(frozen=True, slots=True)
class Abort:
    """A-ABORT (9.3.8). The reason counts only with source 2, and is sent as 0 with source 0."""

    source: int
    reason: int

    def encode(self) -> bytes:
        reason = 0 if self.source == SERVICE_USER else self.reason
        return _pdu(A_ABORT, bytes(2), *_numbers(self.source, reason))

    @staticmethod
    def decode(body: bytes | bytearray | memoryview) -> Abort:
        view = _four_bytes(body, A_ABORT, "PS3.8 9.3.8")
        return Abort(view[2], view[3])


def abort_text(source: int, reason: int) -> str:
    """An abort in the standard's words, for a person."""
    who = ABORT_SOURCE_TEXTS.get(source, f"source {source}")
    if source == SERVICE_USER:
        return who
    return f"{who}, {ABORT_REASON_TEXTS.get(reason, f'reason {reason}')}"
