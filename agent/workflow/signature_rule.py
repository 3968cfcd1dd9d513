"""What is done about the digital signatures of objects that come in (PS3.15 A.2, rule 2).

One rule for every way in: what an entity says of signatures holds for what is sent to it and for
what it retrieves; and for what comes into its archive from folders and media. Where entities of one
archive differ, the strictest rule holds for those. What this box makes itself is not looked at.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent import observation
from agent.archive.decision import Origin, Verdict
from agent.configuration.configuration import Configuration
from agent.configuration.entity import Entity
from agent.configuration.signatures import Signatures
from agent.dataset.byte_source import FileBytes
from agent.dataset.file_meta import read_file_meta
from agent.errors import PeerError
from agent.quoting import Sentence

if TYPE_CHECKING:
    from agent.security.signature_verification import Verified

VERIFIED = observation.metrics.counter(
    "gantry_signatures_total", "Signatures of received objects", "verdict"
)

_MILD_FIRST = ("ignore", "note", "refuse", "require")
_OURS = frozenset(("local", "capture"))
"""Ways of what this box has made (`Origin.source`)."""


@dataclass(frozen=True, slots=True)
class SignatureRule:
    """What is done: `choice` is that of `storage.signatures`, but never "ignore"; `status` is the
    DIMSE status of a refusal, `table` says whom we trust."""

    choice: str
    status: int
    table: Signatures

    def concerns(self, origin: Origin) -> bool:
        """Whether signatures of what comes so are looked at."""
        return origin.source not in _OURS

    def judge(self, found: Collection[Verified] | None, origin: Origin) -> Verdict | None:
        """Log what was found (None: it cannot be parsed); the refusal, None where there is none."""
        comment = self._judged(found or (), origin)
        if found is None:
            # It cannot be parsed: where that matters little, the archive says what it thinks of it.
            comment = "Data set cannot be parsed" if self.choice == "require" else ""
        elif not found and self.choice == "require":
            comment = "There is no digital signature"
        if not comment:
            return None
        observation.warning(
            "signature.refused",
            peer=_sender(origin),
            object=origin.sop_instance_uid,
            reason=Sentence(comment),
        )
        return Verdict(self.status, Sentence(comment))

    def _judged(self, found: Collection[Verified], origin: Origin) -> str:
        comment = ""
        for each in found:
            verdict = each.verdict.value
            VERIFIED.of(verdict).add()
            log = observation.info if verdict == "valid" else observation.warning
            log(
                "signature.verified",
                verdict=verdict,
                reason=each.reason or None,
                signer=each.signer or None,
                signature=each.uid,
                peer=_sender(origin),
                object=origin.sop_instance_uid,
            )
            is_refused = verdict == "invalid" if self.choice == "refuse" else verdict != "valid"
            if is_refused and self.choice != "note":
                comment = comment or f"Digital signature is {verdict}"
        return comment


def rule_of(entity: Entity, configuration: Configuration) -> SignatureRule | None:
    """For what is sent to an entity, and what it retrieves; None: nobody looks at signatures."""
    choice = entity.storage.signatures
    if choice == "ignore":
        return None
    return SignatureRule(choice, entity.status.signature, configuration.signatures)


def rule_of_archive(archive: str, configuration: Configuration) -> SignatureRule | None:
    """For what comes into an archive by other ways than the network."""
    strictest = max(
        (each for each in configuration.entities if each.archive == archive),
        key=lambda each: _MILD_FIRST.index(each.storage.signatures),
        default=None,
    )
    return None if strictest is None else rule_of(strictest, configuration)


def verify_received(table: Signatures, *, descriptors: list[int]) -> list[Verified] | None:
    """In a worker: the signatures of a received file; None where it cannot be parsed.

    An object without signatures costs a walk over the headers of its elements. Raises
    ConfigurationError where the files of those whom we trust cannot be read.
    """
    from agent.security.signature_reading import stored_signatures
    from agent.security.signature_verification import Trust, verify

    (descriptor,) = descriptors
    try:
        meta = read_file_meta(descriptor)
        source = FileBytes(descriptor, meta.data_set_offset)
        if not stored_signatures(source, meta.encoding_uid):
            return []
        trust = Trust.of_files(table.trust, table.intermediates, table.revocations)
        return verify(source, meta.encoding_uid, trust)
    except PeerError:
        return None


def _sender(origin: Origin) -> str:
    return origin.peer or origin.calling or origin.source
