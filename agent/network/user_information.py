"""The user information item (50H) and its sub-items 51H to 59H: PS3.8 9.3.2.3, D.1; PS3.7 D.3.3."""

from __future__ import annotations

from dataclasses import dataclass

from agent.errors import LocalError
from agent.network.item import (
    UNEXPECTED_PDU_PARAMETER,
    Fields,
    ItemBudget,
    decode_uid,
    encode_counted,
    encode_item,
    encode_number,
    encode_text,
    encode_uid,
    invalid,
    items,
)
from agent.network.user_identity import (
    REQUEST_ITEM,
    RESPONSE_ITEM,
    UserIdentity,
    decode_user_identity,
    decode_user_identity_response,
    encode_user_identity_response,
)

USER_INFORMATION_ITEM = 0x50
MAXIMUM_LENGTH_ITEM = 0x51
IMPLEMENTATION_CLASS_UID_ITEM = 0x52
ASYNCHRONOUS_OPERATIONS_WINDOW_ITEM = 0x53
ROLE_SELECTION_ITEM = 0x54
IMPLEMENTATION_VERSION_NAME_ITEM = 0x55
EXTENDED_NEGOTIATION_ITEM = 0x56
COMMON_EXTENDED_NEGOTIATION_ITEM = 0x57

# A peer that leaves out the mandatory sub-item 51H says nothing of what it can take: the size that
# every implementation is known to take is the safe reading, not «unlimited».
MAXIMUM_LENGTH_WHEN_ABSENT = 16384


@dataclass(frozen=True, slots=True)
class RoleSelection:
    """54H. In a request: the roles that the requestor would play; in an answer: those it may."""

    sop_class_uid: str
    scu: bool
    scp: bool

    def encode(self) -> bytes:
        return encode_item(
            ROLE_SELECTION_ITEM,
            encode_counted(encode_uid(self.sop_class_uid)),
            bytes((int(self.scu), int(self.scp))),
        )


@dataclass(frozen=True, slots=True)
class ExtendedNegotiation:
    """56H: the application information of one SOP class, whose form its service class defines."""

    sop_class_uid: str
    information: bytes

    def encode(self) -> bytes:
        return encode_item(
            EXTENDED_NEGOTIATION_ITEM,
            encode_counted(encode_uid(self.sop_class_uid)),
            self.information,
        )


@dataclass(frozen=True, slots=True)
class CommonExtendedNegotiation:
    """57H: the service class of a SOP class, and the general classes that its instances fit."""

    sop_class_uid: str
    service_class_uid: str
    related_general_sop_class_uids: tuple[str, ...] = ()

    def encode(self) -> bytes:
        related = b"".join(
            encode_counted(encode_uid(uid)) for uid in self.related_general_sop_class_uids
        )
        return encode_item(
            COMMON_EXTENDED_NEGOTIATION_ITEM,
            encode_counted(encode_uid(self.sop_class_uid)),
            encode_counted(encode_uid(self.service_class_uid)),
            encode_counted(related),
        )


@dataclass(frozen=True, slots=True)
class UserInformation:
    """What the two sides tell each other beside the presentation contexts.

    `maximum_length` bounds the P-DATA-TF PDUs that the sender of this item can take, counted
    without their six header bytes; 0 is no bound (PS3.8 D.1). `asynchronous_operations_window` is
    (invoked, performed) as the requestor sees it, in both directions (PS3.7 D.3.3.3); None is
    the default of (1, 1). `unknown` keeps skipped sub-items as (type, value).
    """

    maximum_length: int
    implementation_class_uid: str
    implementation_version_name: str = ""
    asynchronous_operations_window: tuple[int, int] | None = None
    roles: tuple[RoleSelection, ...] = ()
    extended: tuple[ExtendedNegotiation, ...] = ()
    common_extended: tuple[CommonExtendedNegotiation, ...] = ()
    user_identity: UserIdentity | None = None
    user_identity_response: bytes | None = None
    unknown: tuple[tuple[int, bytes], ...] = ()

    def encode(self) -> bytes:
        """Item 50H, sub-items by ascending type, as some old applications expect (9.3.2.3)."""
        parts = [encode_item(MAXIMUM_LENGTH_ITEM, encode_number(self.maximum_length, 4))]
        if self.implementation_class_uid:
            uid = encode_uid(self.implementation_class_uid)
            parts.append(encode_item(IMPLEMENTATION_CLASS_UID_ITEM, uid))
        if self.asynchronous_operations_window is not None:
            invoked, performed = self.asynchronous_operations_window
            window = encode_number(invoked, 2) + encode_number(performed, 2)
            parts.append(encode_item(ASYNCHRONOUS_OPERATIONS_WINDOW_ITEM, window))
        parts.extend(role.encode() for role in self.roles)
        if self.implementation_version_name:
            name = _encode_version_name(self.implementation_version_name)
            parts.append(encode_item(IMPLEMENTATION_VERSION_NAME_ITEM, name))
        parts.extend(extended.encode() for extended in self.extended)
        parts.extend(common.encode() for common in self.common_extended)
        if self.user_identity is not None:
            parts.append(self.user_identity.encode())
        if self.user_identity_response is not None:
            parts.append(encode_user_identity_response(self.user_identity_response))
        parts.extend(encode_item(kind, value) for kind, value in self.unknown)
        return encode_item(USER_INFORMATION_ITEM, *parts)


def _encode_version_name(name: str) -> bytes:
    encoded = encode_text(name, "the implementation version name", "PS3.7 D.3.3.2.3")
    if len(encoded) > 16:
        raise LocalError(
            "the implementation version name is too long",
            clause="PS3.7 D.3.3.2.3",
            value=name,
            limit=16,
        )
    return encoded


def _fixed(value: memoryview, length: int, what: str, clause: str) -> memoryview:
    if len(value) != length:
        raise invalid(
            f"the {what} sub-item has the wrong length",
            clause=clause,
            value=len(value),
            limit=length,
        )
    return value


def decode_role_selection(value: memoryview) -> RoleSelection:
    fields = Fields(value, "PS3.7 D.3.3.4")
    return RoleSelection(
        decode_uid(fields.counted()), scu=fields.number(1) == 1, scp=fields.number(1) == 1
    )


def decode_extended_negotiation(value: memoryview) -> ExtendedNegotiation:
    fields = Fields(value, "PS3.7 D.3.3.5")
    return ExtendedNegotiation(decode_uid(fields.counted()), bytes(fields.take(fields.left)))


def decode_common_extended_negotiation(
    value: memoryview, budget: ItemBudget
) -> CommonExtendedNegotiation:
    """Item 57H; bytes behind the last field are reserved for later versions and skipped."""
    clause = "PS3.7 D.3.3.6"
    fields = Fields(value, clause)
    sop_class_uid = decode_uid(fields.counted())
    service_class_uid = decode_uid(fields.counted())
    related: list[str] = []
    inner = Fields(fields.counted(), clause)
    while inner.left:
        budget.spend()
        related.append(decode_uid(inner.counted()))
    return CommonExtendedNegotiation(sop_class_uid, service_class_uid, tuple(related))


def decode_user_information(value: memoryview, budget: ItemBudget) -> UserInformation:
    """The value of item 50H. Sub-items may come in any order; of those that shall occur only once,
    the first counts, but two user identities are refused: which one would be checked?"""
    maximum_length: int | None = None
    window: tuple[int, int] | None = None
    texts: dict[int, str] = {}
    roles: list[RoleSelection] = []
    extended: list[ExtendedNegotiation] = []
    common: list[CommonExtendedNegotiation] = []
    identity: UserIdentity | None = None
    response: bytes | None = None
    unknown: list[tuple[int, bytes]] = []
    for kind, inner in items(value, budget, "PS3.8 9.3.2.3"):
        if kind == MAXIMUM_LENGTH_ITEM:
            number = int.from_bytes(_fixed(inner, 4, "maximum length", "PS3.8 D.1"), "big")
            maximum_length = number if maximum_length is None else maximum_length
        elif kind in (IMPLEMENTATION_CLASS_UID_ITEM, IMPLEMENTATION_VERSION_NAME_ITEM):
            texts.setdefault(kind, decode_uid(inner))
        elif kind == ASYNCHRONOUS_OPERATIONS_WINDOW_ITEM:
            pair = _fixed(inner, 4, "asynchronous operations window", "PS3.7 D.3.3.3")
            numbers = (int.from_bytes(pair[:2], "big"), int.from_bytes(pair[2:], "big"))
            window = window or numbers
        elif kind == ROLE_SELECTION_ITEM:
            roles.append(decode_role_selection(inner))
        elif kind == EXTENDED_NEGOTIATION_ITEM:
            extended.append(decode_extended_negotiation(inner))
        elif kind == COMMON_EXTENDED_NEGOTIATION_ITEM:
            common.append(decode_common_extended_negotiation(inner, budget))
        elif kind == REQUEST_ITEM:
            if identity is not None:
                raise invalid(
                    "there is more than one user identity",
                    clause="PS3.7 D.3.3.7.1",
                    reason=UNEXPECTED_PDU_PARAMETER,
                )
            identity = decode_user_identity(inner)
        elif kind == RESPONSE_ITEM:
            answered = decode_user_identity_response(inner)
            response = answered if response is None else response
        else:
            # PS3.8 9.3.1: items of unrecognized types shall be ignored and skipped.
            unknown.append((kind, bytes(inner)))
    return UserInformation(
        MAXIMUM_LENGTH_WHEN_ABSENT if maximum_length is None else maximum_length,
        texts.get(IMPLEMENTATION_CLASS_UID_ITEM, ""),
        texts.get(IMPLEMENTATION_VERSION_NAME_ITEM, ""),
        window,
        tuple(roles),
        tuple(extended),
        tuple(common),
        identity,
        response,
        tuple(unknown),
    )
