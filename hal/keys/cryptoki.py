"""The calls of PKCS#11 (Cryptoki 2.40) that a store of keys needs, over the token's own library."""

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Sequence
from typing import Any

from hal.keys.base import KeyRefused, KeyStoreError, StoreGone, WrongStore

Unsigned = ctypes.c_ulong
_VOID = ctypes.c_void_p

# Where each function stands in CK_FUNCTION_LIST, and its arguments.
_FUNCTIONS: dict[str, tuple[int, tuple[Any, ...]]] = {
    "C_Initialize": (0, (_VOID,)),
    "C_Finalize": (1, (_VOID,)),
    "C_GetSlotList": (4, (ctypes.c_ubyte, _VOID, _VOID)),
    "C_GetTokenInfo": (6, (Unsigned, _VOID)),
    "C_OpenSession": (12, (Unsigned, Unsigned, _VOID, _VOID, _VOID)),
    "C_CloseSession": (13, (Unsigned,)),
    "C_Login": (18, (Unsigned, Unsigned, ctypes.c_char_p, Unsigned)),
    "C_DestroyObject": (22, (Unsigned, Unsigned)),
    "C_GetAttributeValue": (24, (Unsigned, Unsigned, _VOID, Unsigned)),
    "C_FindObjectsInit": (26, (Unsigned, _VOID, Unsigned)),
    "C_FindObjects": (27, (Unsigned, _VOID, Unsigned, _VOID)),
    "C_FindObjectsFinal": (28, (Unsigned,)),
    "C_SignInit": (42, (Unsigned, _VOID, Unsigned)),
    "C_Sign": (43, (Unsigned, ctypes.c_char_p, Unsigned, _VOID, _VOID)),
    "C_GenerateKeyPair": (
        59,
        (Unsigned, _VOID, _VOID, Unsigned, _VOID, Unsigned, _VOID, _VOID),
    ),
}

CLASS, TOKEN, PRIVATE, LABEL, KEY_TYPE, IDENTIFIER = 0x0, 0x1, 0x2, 0x3, 0x100, 0x102
SENSITIVE, SIGN, VERIFY, EXTRACTABLE = 0x103, 0x108, 0x10A, 0x162
MODULUS, MODULUS_BITS, PUBLIC_EXPONENT, EC_PARAMS, EC_POINT = 0x120, 0x121, 0x122, 0x180, 0x181
PUBLIC_KEY_CLASS, PRIVATE_KEY_CLASS = 2, 3
RSA_KEY_PAIR_GENERATION, RSA_PKCS, RSA_RAW = 0x0, 0x1, 0x3
EC_KEY_PAIR_GENERATION, ECDSA = 0x1040, 0x1041
_USER = 1
_SESSION_FLAGS = 0x4 | 0x2  # serial, as all must be, and for writing
_ALREADY = frozenset((0x191, 0x100))  # initialized, logged in

_REFUSED = {
    0xA0: "the PIN is wrong",
    0xA2: "the PIN has a length that the token does not take",
    0xA3: "the PIN has expired",
    0xA4: "the PIN is locked after too many wrong ones",
    0x101: "the token wants a PIN",
    0x102: "the PIN has not been set",
    0x68: "the key may not do this",
    0xE2: "the token is write-protected",
}
_GONE = {
    0x30: "the token reports an error of its own",
    0x31: "the token has no memory left",
    0x32: "the token was pulled out",
    0xB0: "the session with the token has ended",
    0xB3: "the session with the token has ended",
    0xE0: "the token is not there",
    0xE1: "the token is not recognised",
}
_WRONG = {0x70: "the token does not know this mechanism", 0x10: "the token does not do this"}


_users: Counter[str] = Counter()
"""Sessions of this process by library: it is one for all of them."""


class Attribute(ctypes.Structure):
    """CK_ATTRIBUTE."""

    _fields_ = (("kind", Unsigned), ("value", _VOID), ("length", Unsigned))


class Mechanism(ctypes.Structure):
    """CK_MECHANISM without parameters."""

    _fields_ = (("mechanism", Unsigned), ("parameter", _VOID), ("length", Unsigned))


def _failure(name: str, code: int) -> KeyStoreError:
    if code in _REFUSED:
        return KeyRefused(_REFUSED[code])
    if code in _GONE:
        return StoreGone(_GONE[code])
    if code in _WRONG:
        return WrongStore(_WRONG[code])
    return StoreGone(f"{name} failed with {code:#x}")


def _template(values: dict[int, int | bytes | bool]) -> Any:
    """CK_ATTRIBUTEs of values; they keep what they point to."""
    made: Any = (Attribute * len(values))()
    made.kept = []
    for each, (kind, value) in zip(made, values.items(), strict=True):
        if isinstance(value, bool):
            data = bytes((value,))
        elif isinstance(value, int):
            data = bytes(Unsigned(value))
        else:
            data = value
        buffer = ctypes.create_string_buffer(data, len(data))
        made.kept.append(buffer)
        each.kind = kind
        each.value = ctypes.cast(buffer, _VOID)
        each.length = len(data)
    return made


class Cryptoki:
    """A session with one token of a library. Raises StoreGone, KeyRefused, WrongStore."""

    def __init__(self, module: str, token: str, pin: bytes) -> None:
        try:
            self._library = ctypes.CDLL(module)
            table = _VOID()
            get_list = self._library.C_GetFunctionList
        except (OSError, AttributeError) as error:
            raise StoreGone(f"{module} is no PKCS#11 library: {error}") from None
        if get_list(ctypes.byref(table)) or not table.value:
            raise StoreGone(f"{module} gives no list of functions")
        self._functions: dict[str, Any] = {}
        width = ctypes.sizeof(_VOID)
        for name, (index, arguments) in _FUNCTIONS.items():
            # The version stands before the functions, in the room of one pointer.
            place = _VOID.from_address(table.value + (1 + index) * width)
            self._functions[name] = ctypes.CFUNCTYPE(Unsigned, *arguments)(place.value or 0)
        self._module = module
        self._call("C_Initialize", None)
        _users[module] += 1
        self._session = Unsigned()
        try:
            self._log_in(self._slot_of(token), pin)
        except KeyStoreError:
            self.close()
            raise

    def _call(self, name: str, *arguments: Any) -> None:
        code = self._functions[name](*arguments)
        if code and code not in _ALREADY:
            raise _failure(name, code)

    def _slot_of(self, token: str) -> int:
        count = Unsigned()
        self._call("C_GetSlotList", 1, None, ctypes.byref(count))
        slots = (Unsigned * count.value)()
        self._call("C_GetSlotList", 1, slots, ctypes.byref(count))
        labels = []
        for slot in slots[: count.value]:
            # CK_TOKEN_INFO begins with the label, 32 characters of UTF-8 filled with spaces.
            information = ctypes.create_string_buffer(1024)
            self._call("C_GetTokenInfo", slot, information)
            label = information.raw[:32].decode("utf-8", "replace").rstrip(" \0")
            if label == token:
                return int(slot)
            labels.append(label)
        there = ", ".join(repr(each) for each in labels if each) or "none"
        raise StoreGone(f"there is no token {token!r}; tokens that are there: {there}")

    def _log_in(self, slot: int, pin: bytes) -> None:
        session = ctypes.byref(self._session)
        self._call("C_OpenSession", slot, _SESSION_FLAGS, None, None, session)
        self._call("C_Login", self._session, _USER, pin, len(pin))

    def close(self) -> None:
        """End the session, and with the last one of this process the use of the library. Never
        raises."""
        if self._session.value:
            self._functions["C_CloseSession"](self._session)
        _users[self._module] -= 1
        if not _users[self._module]:
            self._functions["C_Finalize"](None)

    def find(self, values: dict[int, int | bytes | bool]) -> list[int]:
        """Objects that have these values, a hundred at most."""
        template = _template(values)
        self._call("C_FindObjectsInit", self._session, template, len(values))
        found, count = (Unsigned * 100)(), Unsigned()
        try:
            self._call("C_FindObjects", self._session, found, 100, ctypes.byref(count))
        finally:
            self._call("C_FindObjectsFinal", self._session)
        return list(found[: count.value])

    def attribute(self, item: int, kind: int) -> bytes:
        """The value of one attribute as bytes."""
        wanted = Attribute(kind, None, 0)
        self._call("C_GetAttributeValue", self._session, item, ctypes.byref(wanted), 1)
        buffer = ctypes.create_string_buffer(wanted.length)
        wanted.value = ctypes.cast(buffer, _VOID)
        self._call("C_GetAttributeValue", self._session, item, ctypes.byref(wanted), 1)
        return buffer.raw

    def generate(
        self,
        mechanism: int,
        public: dict[int, int | bytes | bool],
        private: dict[int, int | bytes | bool],
    ) -> None:
        """A pair of keys on the token."""
        handles = Unsigned(), Unsigned()
        self._call(
            "C_GenerateKeyPair",
            self._session,
            ctypes.byref(Mechanism(mechanism, None, 0)),
            _template(public),
            len(public),
            _template(private),
            len(private),
            ctypes.byref(handles[0]),
            ctypes.byref(handles[1]),
        )

    def sign(self, key: int, mechanism: int, data: bytes) -> bytes:
        """One signature, of at most 1024 bytes."""
        chosen = ctypes.byref(Mechanism(mechanism, None, 0))
        self._call("C_SignInit", self._session, chosen, key)
        out, length = ctypes.create_string_buffer(1024), Unsigned(1024)
        self._call("C_Sign", self._session, data, len(data), out, ctypes.byref(length))
        return out.raw[: length.value]

    def destroy(self, items: Sequence[int]) -> None:
        """Delete objects for good."""
        for item in items:
            self._call("C_DestroyObject", self._session, item)
