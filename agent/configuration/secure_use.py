"""Secure use of what is stored (PS3.15 A.1)."""

from __future__ import annotations

from agent.configuration.connection import Tls
from agent.configuration.key import key, section
from agent.configuration.kinds import Flag, Text


@section
class SecureUse:
    """SOP Instance Status (0100,0410) by the Online Electronic Storage Secure Use Profile.

    Originals stay with who authorized them: what comes from, or goes to, a node that does not
    follow the profile over TLS with certificates of both sides is Not Specified (NS); what goes to
    one that does is an Authorized Copy (AC) at most.

    What is an original here, by its status (OR, AO), is never deleted here. One peer may take
    originals over (`takes_originals`): when it has committed to one, ours becomes a copy. Jobs of
    an original that a peer hands over to us are held until that peer was told that we keep it.
    """

    enabled: bool = key(Flag(), "whether the profile is followed", default=False)
    originals: bool = key(
        Flag(),
        "whether images that are captured here are Originals (OR), with the moment and the number "
        "of the equipment's certification",
        default=False,
    )
    certification: str = key(
        Text(64),
        "the SOP Equipment Certification Number (0100,0426) of originals that are made here",
        default="",
    )


def is_mutual(tls: Tls | None) -> bool:
    """Whether both sides of such a connection show who they are."""
    return tls is not None and tls.peer_certificate == "required" and bool(tls.certificate)
