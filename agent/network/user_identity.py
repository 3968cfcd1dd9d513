"""User identity negotiation: who uses the calling application (PS3.7 D.3.3.7)."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.network.item import Fields, encode_counted, encode_item, encode_number

REQUEST_ITEM = 0x58
RESPONSE_ITEM = 0x59

_CLAUSE = "PS3.7 D.3.3.7"

# Table D.3-14: User-Identity-Type.
USERNAME = 1
USERNAME_AND_PASSCODE = 2
KERBEROS_SERVICE_TICKET = 3
SAML_ASSERTION = 4
JSON_WEB_TOKEN = 5


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """The identity that the requestor claims.

    `primary` is the user name (UTF-8), ticket, assertion or token; `secondary` the passcode and
    empty for all kinds but 2. Both are kept out of the text form: they are secrets (DESIGN rule 7).
    """

    kind: int
    primary: bytes = field(repr=False)
    secondary: bytes = field(default=b"", repr=False)
    positive_response_requested: bool = False

    def encode(self) -> bytes:
        return encode_item(
            REQUEST_ITEM,
            encode_number(self.kind, 1),
            bytes((int(self.positive_response_requested),)),
            encode_counted(self.primary),
            encode_counted(self.secondary),
        )


def decode_user_identity(value: memoryview) -> UserIdentity:
    """Item 58H; a secondary field that is left out altogether counts as empty."""
    fields = Fields(value, _CLAUSE)
    kind, asked = fields.number(1), fields.number(1)
    primary = bytes(fields.counted())
    secondary = bytes(fields.counted()) if fields.left else b""
    return UserIdentity(kind, primary, secondary, asked == 1)


def encode_user_identity_response(response: bytes) -> bytes:
    return encode_item(RESPONSE_ITEM, encode_counted(response))


def decode_user_identity_response(value: memoryview) -> bytes:
    """Item 59H: the server response, empty for the kinds 1 and 2 (Table D.3-15)."""
    return bytes(Fields(value, _CLAUSE).counted())
