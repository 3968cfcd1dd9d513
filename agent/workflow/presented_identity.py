"""The user identity with which a peer is called (PS3.7 D.3.3.7), and the peer's word on it."""

from __future__ import annotations

from agent import observation
from agent.configuration.identity import KINDS
from agent.configuration.peer import Peer
from agent.errors import ConfigurationError, PeerError
from agent.network.association import Association
from agent.network.user_identity import USERNAME_AND_PASSCODE, UserIdentity

_LONGEST = 65535  # two bytes of length: PS3.7 Table D.3-14


def presented_identity(peer: Peer) -> UserIdentity | None:
    """What the association request carries; None without one. The secret is read now.

    Raises ConfigurationError when it cannot be read, is empty, or is too long for the item.
    """
    table = peer.identity
    if not table:
        return None
    kind = KINDS[table.kind]
    secret = table.secret.read() if table.secret else b""
    if table.secret and not 0 < len(secret) <= _LONGEST:
        raise ConfigurationError(
            f"the identity for {peer.name} in {table.secret.path} is empty or too long",
            clause="PS3.7 D.3.3.7.1",
            value=len(secret),
            limit=_LONGEST,
        )
    asked = table.positive_response != "no"
    name = table.user.encode()
    if kind == USERNAME_AND_PASSCODE:
        return UserIdentity(kind, name, secret, asked)
    return UserIdentity(kind, secret or name, positive_response_requested=asked)


def check_confirmation(peer: Peer, association: Association) -> None:
    """Once the association is there: the peer must have confirmed, where that is required.

    D.3.3.7.3 leaves it to the requestor what to do without a response. Aborts and raises PeerError.
    """
    table, accept = peer.identity, association.associate_accept
    if not table or accept is None:
        return
    confirmed = accept.user_information.user_identity_response is not None
    observation.debug("user.presented", peer=peer.name, kind=table.kind, confirmed=confirmed)
    if table.positive_response == "required" and not confirmed:
        association.abort()
        raise PeerError(
            f"{peer.name} took the association without confirming our user identity",
            clause="PS3.7 D.3.3.7.3",
            way_out="Have it verify user identities, or ask for no confirmation: "
            'positive_response = "asked".',
        )
