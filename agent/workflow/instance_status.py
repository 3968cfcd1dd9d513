"""SOP Instance Status on its way in and out (PS3.15 A.1.1), and of what is made here.

A copy that goes out is an Authorized Copy at most (rules e and f), but for what is delivered to the
one peer that takes originals over (rule d). An object without the attribute stays without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.archive.decision import Origin
from agent.archive.records import Flag
from agent.configuration.configuration import Configuration
from agent.configuration.peer import Peer
from agent.configuration.route import Change
from agent.configuration.secure_use import is_mutual
from agent.dataset import tags
from agent.workflow.changes import decode_changes, deidentified_by, encode_changes

if TYPE_CHECKING:
    from agent.objects.element import Element

NOT_SPECIFIED = b"NS"
ABOVE_NOT_SPECIFIED = frozenset((b"OR", b"AO", b"AC"))
_TO_ANYBODY = Change(attribute=tags.SOP_INSTANCE_STATUS, map={"OR": "NS", "AO": "NS", "AC": "NS"})
# Rule e is about what is authorized: of an original that is not, no copy can be.
_TO_THE_LIKE = Change(attribute=tags.SOP_INSTANCE_STATUS, map={"OR": "NS", "AO": "AC"})


def status_changes(
    configuration: Configuration, peer: Peer | None, *, hands_over: bool = False
) -> tuple[Change, ...]:
    """What becomes of the status of a copy for this peer; none where the profile is not followed.

    None is somebody who is not configured. `hands_over`: the peer is asked to commit to it, so an
    original may go as one.
    """
    if not configuration.secure_use.enabled:
        return ()
    if hands_over and peer is not None and peer.takes_originals:
        return ()
    follows = peer is not None and peer.secure_use and is_mutual(peer.tls)
    return (_TO_THE_LIKE if follows else _TO_ANYBODY,)


def flags_of(status: bytes | None, origin: Origin) -> int:
    """What the archive has to know of an object that it keeps with this status.

    Media are no business of the profile: what they say of themselves is kept, and means nothing.
    """
    status = (status or b"").strip(b" \0")
    if status not in (b"OR", b"AO") or origin.source == "import":
        return 0
    flags = Flag.ORIGINAL | (Flag.AUTHORIZED if status == b"AO" else Flag(0))
    return int(flags | (Flag.UNCONFIRMED if origin.source == "network" else Flag(0)))


def original(configuration: Configuration, moment: float) -> dict[int, Element]:
    """What says of an object that is made here that it is an Original (rule a); nothing where the
    configuration does not want that. `moment` is in seconds since 1970."""
    # What makes objects is imported where they are made.
    from agent.dataset.date_time import date_time
    from agent.objects.element import Element

    table = configuration.secure_use
    if not (table.enabled and table.originals):
        return {}
    return {
        tags.SOP_INSTANCE_STATUS: Element("CS", "OR"),
        tags.SOP_AUTHORIZATION_DATE_TIME: Element("DT", date_time(moment)),
        tags.AUTHORIZATION_EQUIPMENT_CERTIFICATION_NUMBER: Element("LO", table.certification),
    }


def with_status(payload: bytes, changes: tuple[Change, ...]) -> bytes:
    """The payload of a job, or "", with these changes after its own."""
    if not changes:
        return payload
    return encode_changes((*decode_changes(payload), *changes), deidentified_by(payload))


def trusted_senders(configuration: Configuration) -> frozenset[tuple[str, str]] | None:
    """Pairs of entity and peer from which a status is kept; None where all are."""
    if not configuration.secure_use.enabled:
        return None
    return frozenset(
        (entity.name, peer.name)
        for entity in configuration.entities
        for peer in configuration.peers
        if peer.secure_use
        and is_mutual(entity.tls)
        # What we get of it comes over associations that we open.
        and (not peer.addresses or is_mutual(peer.tls))
    )
