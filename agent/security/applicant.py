"""Who asks for an association, as far as access rules look at it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from agent.network.peer_certificate import PeerCertificate


class Applicant(NamedTuple):
    """AE titles without their padding; `certificate` only where it was verified.

    `user` is a name that was verified, and `identity` how (a word of `KINDS`); both are empty while
    it was not.
    """

    called: str
    calling: str
    address: str
    certificate: PeerCertificate | None = None
    user: str = ""
    identity: str = ""

    def for_log(self) -> dict[str, object]:
        """What log events say of the applicant."""
        return {
            "called": self.called,
            "calling": self.calling,
            "address": self.address,
            "subject": self.certificate.subject_text if self.certificate else None,
            "user": self.user or None,
        }
