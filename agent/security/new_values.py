"""The values that an object gets instead of its own (PS3.15 E.1.1, E.3.5, E.3.6)."""

from __future__ import annotations

from contextlib import suppress

from agent.dataset.byte_source import ByteSource
from agent.dataset.character_set import decode_text, encode_text
from agent.dataset.reader import Element, read_exactly
from agent.dataset.value_representations import VALUE_REPRESENTATIONS
from agent.errors import LocalError
from agent.security.confidentiality_actions import Action, ConfidentialityProfile
from agent.security.confidentiality_table import Option
from agent.security.descriptors import cleaned
from agent.security.dummy_values import dummy_document, dummy_value
from agent.security.original_identity import OriginalIdentity
from agent.security.pseudonyms import Pseudonyms
from agent.security.shifted_dates import shifted

LONGEST_TEXT = 1 << 20
"""Bytes of a text that is searched or cleaned; a longer one is replaced."""

SEARCHED = frozenset(("SH", "LO", "ST", "LT", "UT", "UC", "UR", "PN"))
"""VRs of text in which a person can be named."""

_PATIENT_NAME, _PATIENT_ID = 0x0010_0010, 0x0010_0020
PATIENT = frozenset((_PATIENT_ID, _PATIENT_NAME))
"""What is replaced by a pseudonym, even where it is empty."""
_ENCAPSULATED_DOCUMENT = 0x0042_0011
_TIMEZONE_OFFSET = 0x0008_0201


class NewValues:
    """Values for one object, whose bytes are in `source`. Memory: one value, at most a MiB."""

    def __init__(
        self,
        source: ByteSource,
        profile: ConfidentialityProfile,
        pseudonyms: Pseudonyms,
        identity: OriginalIdentity,
    ) -> None:
        self.source = source
        self._profile = profile
        self._pseudonyms = pseudonyms
        self._identity = identity
        self._pseudonym = pseudonyms.patient(identity.patient)

    def value(
        self, element: Element, vr: str, action: Action, character_set: bytes
    ) -> bytes | None:
        """The little endian value after an action that is not to keep it; None where the attribute
        goes. Raises PeerError where the bytes end."""
        tag = element.tag
        if action is Action.REMOVE:
            return None
        if tag in PATIENT:
            mine = self._pseudonym
            return (mine.identifier if tag == _PATIENT_ID else mine.name).encode()
        if action is Action.EMPTY:
            return b""
        if tag == _ENCAPSULATED_DOCUMENT:
            return dummy_document(self._identity.mime_type)
        if vr == "UI":
            text = decode_text(self.read(element, 65536), "UI")
            return "\\".join(map(self.uid, text.split("\\"))).encode()
        if action is Action.CLEAN:
            return self._cleaned(element, vr, character_set)
        return dummy_value(tag, vr)

    def uid(self, uid: str) -> str:
        """What stands for a UID."""
        uid = uid.strip(" \0")
        return uid if Option.RETAIN_UIDS in self._profile else self._pseudonyms.uid(uid)

    def quotes(self, element: Element, vr: str, character_set: bytes) -> bool:
        """Whether a text that would stay tells what is known to identify the patient."""
        if element.length > LONGEST_TEXT:
            return True
        text = self._text(element, vr, character_set) if element.length else ""
        return self._identity.known.are_in(text)

    def read(self, element: Element, most: int) -> bytes:
        """The first bytes of a value. Raises PeerError where there are not so many."""
        return read_exactly(self.source, element.value_offset, min(element.length, most))

    def _text(self, element: Element, vr: str, character_set: bytes) -> str:
        return decode_text(self.read(element, LONGEST_TEXT), vr, character_set)

    def _cleaned(self, element: Element, vr: str, character_set: bytes) -> bytes | None:
        tag = element.tag
        if vr == "TM" or tag == _TIMEZONE_OFFSET:
            # Times of day stay, see `shifted_dates`.
            return self.read(element, LONGEST_TEXT)
        text = self._text(element, vr, character_set)
        if vr in ("DA", "DT"):
            return shifted(vr, text, self._pseudonym.days).encode()
        row = VALUE_REPRESENTATIONS.get(vr)
        is_known = element.length > LONGEST_TEXT or self._identity.known.are_in(text)
        if row is not None and row.text and not is_known:
            with suppress(LocalError):
                if kept := cleaned(text):
                    return encode_text(kept, vr, character_set)
        # Nothing is left of it: then the profile's own action is the cleaning.
        without = self._profile.without_options(tag)
        if without is Action.EMPTY or without is Action.REMOVE:
            return b"" if without is Action.EMPTY else None
        return dummy_value(tag, vr)
