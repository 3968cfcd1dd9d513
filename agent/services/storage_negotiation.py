"""What Storage says when an association is negotiated (PS3.4 B.3, B.4.1.2, B.4.2.1).

Pure functions for both roles: the SOP Class Extended Negotiation of an SCP and of an SCU, the
Common Extended Negotiation that announces classes, and the presentation contexts that a set of
stored objects needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent.codecs.registry import is_available
from agent.dataset.sop_classes import (
    FOR_PROCESSING,
    RELATED_GENERAL,
    SOP_CLASSES,
    STORAGE_SERVICE_CLASS,
    ServiceClass,
)
from agent.dataset.transfer_syntaxes import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    JPEG_LOSSLESS,
    JPEG_LOSSLESS_FIRST_ORDER,
    JPEG_LS_LOSSLESS,
    JPEG_LS_NEAR_LOSSLESS,
    encoding_of,
)
from agent.network.negotiation import ContextNeed, ExtendedAnswer
from agent.network.user_information import CommonExtendedNegotiation, ExtendedNegotiation

# Native encodings can be turned into each other without touching a pixel's value (PS3.5 A.1-A.3);
# in the order in which they are proposed after an object's own.
NATIVE = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN)

_IMAGE = "Image Storage"
"""In the name of each class whose instances have pixel data that codecs take (Table B.5-1)."""

_DEFAULTS = {JPEG_LOSSLESS: JPEG_LOSSLESS_FIRST_ORDER, JPEG_LS_NEAR_LOSSLESS: JPEG_LS_LOSSLESS}
"""Who proposes one of these proposes the default of its family too (PS3.5 10.2, 10.5)."""

SCU_ONLY = bytes((3, 0, 0, 0, 2, 0))
"""Table B.3-1 as a pure SCU fills it: no level, no signature level, no coercion of its own."""


@dataclass(frozen=True, slots=True)
class Capability:
    """What a Storage SCP says of itself (Tables B.3-1 and B.3-2).

    `signature_level` counts only for a Level 2 SCP; `coercion` says that elements may be changed.
    """

    level: int = 2
    signature_level: int = 3
    coercion: bool = False

    def encode(self) -> bytes:
        """The six bytes of Service-class-application-information; the reserved ones are 00H."""
        signature_level = self.signature_level if self.level == 2 else 0
        return bytes((self.level, 0, signature_level, 0, int(self.coercion), 0))


def extended_answer(capability: Capability) -> ExtendedAnswer:
    """The SCP's answer: each side states its own capability, whatever the other's (B.3.1.2)."""
    encoded = capability.encode()

    def answer(information: bytes) -> bytes | None:
        return encoded

    return answer


def extended_items(
    sop_classes: Iterable[str], capability: Capability | None
) -> tuple[ExtendedNegotiation, ...]:
    """The SCU's items; `capability` is that of an entity that is an SCP as well, else None.

    None for the classes of annex GG, which use no extended negotiation (GG.2).
    """
    encoded = SCU_ONLY if capability is None else capability.encode()
    return tuple(ExtendedNegotiation(uid, encoded) for uid in sop_classes if _is_storage(uid))


def common_extended_items(sop_classes: Iterable[str]) -> tuple[CommonExtendedNegotiation, ...]:
    """The SCU's announcements (B.3.1.3, B.3.1.4): related classes exactly as in Table B.3-3."""
    return tuple(
        CommonExtendedNegotiation(uid, STORAGE_SERVICE_CLASS, RELATED_GENERAL.get(uid, ()))
        for uid in sop_classes
        if _is_storage(uid)
    )


def _is_storage(sop_class: str) -> bool:
    """Of annex B, or a class that nobody knows and that is sent as one of it."""
    row = SOP_CLASSES.get(sop_class)
    return row is None or row.service is ServiceClass.STORAGE


@dataclass(frozen=True, slots=True)
class Proposal:
    """How objects are proposed to one peer.

    `preferred` are the transfer syntaxes that the peer likes, best first, `never` those that it
    shall not be offered. With `conversion`, an object that can be decoded here is also offered in
    the native encodings, and an image in the compressed ones that the peer likes; with `lossy`, in
    those that lose something as well. With `fall_back`, the related general classes are proposed
    besides (B.4.2.1).
    """

    preferred: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    conversion: bool = True
    lossy: bool = False
    fall_back: bool = True


def transfer_syntaxes_for(sop_class: str, stored: str, proposal: Proposal) -> tuple[str, ...]:
    """The transfer syntaxes in which an object stored as `stored` can go out, best first.

    Its own comes first, so that bytes pass unchanged where the peer takes them, unless the peer
    prefers another that we can make. Empty when all are excluded.
    """
    possible = [stored]
    native = stored in (*NATIVE, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)
    if proposal.conversion and (native or is_available(stored)):
        possible += _default_of(sop_class, stored, proposal)
        possible += [syntax for syntax in NATIVE if syntax != stored]
        if DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN in proposal.preferred:
            possible.append(DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN)
        possible += _compressed(sop_class, stored, proposal)
    wanted = [syntax for syntax in proposal.preferred if syntax in possible]
    wanted += [syntax for syntax in possible if syntax not in wanted]
    return tuple(syntax for syntax in wanted if syntax not in proposal.never)


def _default_of(sop_class: str, stored: str, proposal: Proposal) -> list[str]:
    """The default of a stored syntax's family, which then loses nothing more."""
    default = _DEFAULTS.get(stored, "")
    wanted = default and default not in proposal.preferred and is_available(default)
    return [default] if wanted and _is_image(sop_class) else []


def _is_image(sop_class: str) -> bool:
    row = SOP_CLASSES.get(sop_class)
    return row is not None and _IMAGE in row.name


def _compressed(sop_class: str, stored: str, proposal: Proposal) -> list[str]:
    """What the peer likes and we can make. Of what has lost something, no further loss is made."""
    if not _is_image(sop_class):
        return []
    lossy = proposal.lossy and not encoding_of(stored).lossy
    made = [
        syntax
        for syntax in proposal.preferred
        if syntax not in (stored, *NATIVE)
        and is_available(syntax)
        and (lossy or not encoding_of(syntax).lossy)
    ]
    defaults = (_DEFAULTS[syntax] for syntax in made if syntax in _DEFAULTS)
    return made + [syntax for syntax in defaults if syntax not in (stored, *made)]


def context_needs(
    objects: Iterable[tuple[str, str]], proposal: Proposal | None = None
) -> list[ContextNeed]:
    """The presentation contexts for objects given as (SOP Class UID, transfer syntax UID).

    Each class and each encapsulated syntax gets a context of its own, so that the peer can take one
    and refuse another (B.3: one abstract syntax in a presentation context). So does the syntax that
    we like best, else a peer that takes it might still choose another; the other native syntaxes
    share one, and the peer's choice is then ours. A class For Processing brings its For
    Presentation class with it (B.5.1.1 to B.5.1.3, B.5.1.13, B.5.1.18).
    """
    wishes = proposal if proposal is not None else Proposal()
    needs: dict[tuple[str, tuple[str, ...]], None] = {}
    general: dict[tuple[str, tuple[str, ...]], None] = {}
    for sop_class, stored in objects:
        for group in _groups(transfer_syntaxes_for(sop_class, stored, wishes)):
            needs.setdefault((sop_class, group))
            presentation = FOR_PROCESSING.get(sop_class)
            if presentation is not None:
                general.setdefault((presentation, group))
            if wishes.fall_back:
                for related in RELATED_GENERAL.get(sop_class, ()):
                    general.setdefault((related, group))
    for need in general:
        needs.setdefault(need)
    return [ContextNeed(sop_class, syntaxes) for sop_class, syntaxes in needs]


def _groups(syntaxes: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Transfer syntaxes by presentation context, in the order of the first of each."""
    groups: list[tuple[str, ...]] = [syntaxes[:1]] if syntaxes else []
    shared = tuple(syntax for syntax in syntaxes[1:] if syntax in NATIVE)
    for syntax in syntaxes[1:]:
        if syntax not in NATIVE:
            groups.append((syntax,))
        elif shared not in groups:
            groups.append(shared)
    return groups


def sending_order(sop_class: str, stored: str, proposal: Proposal) -> Sequence[tuple[str, str]]:
    """(abstract syntax, transfer syntax) pairs in which an object may go out, best first.

    The class itself in each syntax, then, with `fall_back`, the related general classes: their
    instances keep the SOP Instance UID and bear the general SOP Class UID (B.4.2.1).
    """
    syntaxes = transfer_syntaxes_for(sop_class, stored, proposal)
    classes = [sop_class, *(RELATED_GENERAL.get(sop_class, ()) if proposal.fall_back else ())]
    return [(each, syntax) for each in classes for syntax in syntaxes]
