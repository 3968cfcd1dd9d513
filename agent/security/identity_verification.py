"""Whether the user identity of a caller is good (PS3.7 D.3.3.7): asked of the file of passcodes, or
of a verifier. Nothing of it waits on the loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from agent import observation
from agent.configuration.identity import KINDS, Identity
from agent.errors import GantryError
from agent.loop import Limit, timeout
from agent.network.user_identity import UserIdentity
from agent.security.applicant import Applicant
from agent.security.passcodes import LONGEST_USER, is_passcode_of, is_user

_WORDS = {number: word for word, number in KINDS.items()}
_WITH_NAME = ("username", "username-and-passcode")

AUTHENTICATED_TOTAL = observation.metrics.counter(
    "gantry_users_authenticated_total", "User identities that were verified", "kind", "outcome"
)

# A worker pool's `call`.
Call = Callable[..., Awaitable[Any]]


class Verified(NamedTuple):
    """What became of an identity. `unknown` is true where nobody could say; `response` is what a
    caller who asked for it is told."""

    accepted: bool
    user: str = ""
    response: bytes = b""
    reason: str = ""
    unknown: bool = False


def kind_of(identity: UserIdentity) -> str:
    """The word for its User-Identity-Type, or the number that the table does not have."""
    return _WORDS.get(identity.kind, str(identity.kind))


def claimed_user(identity: UserIdentity) -> str:
    """The user name that the identity says; "" where it says none that can be one."""
    if kind_of(identity) not in _WITH_NAME:
        return ""
    try:
        name = identity.primary.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    return name if name.isprintable() and len(name) <= LONGEST_USER else ""


class IdentityVerification:
    """Verifies identities, `at_once` of them; who waits is bounded by who asks."""

    def __init__(self, table: Identity, call: Call) -> None:
        self._table = table
        self._call = call
        self._turns = Limit(table.at_once)

    def knows(self, kind: str) -> bool:
        """Whether there is somebody to ask about this kind."""
        table = self._table
        if kind in table.verifier.kinds and table.verifier:
            return True
        return kind in _WITH_NAME and bool(table.passcodes)

    async def verify(self, identity: UserIdentity, applicant: Applicant) -> Verified:
        """Within the limit that is configured; never raises GantryError."""
        kind = kind_of(identity)
        try:
            with timeout(self._table.limit):
                await self._turns.acquire()
                try:
                    found = await self._ask(kind, identity, applicant)
                finally:
                    self._turns.release()
        except GantryError as error:
            observation.error("user.not_verified", kind=kind, error=error, **applicant.for_log())
            found = Verified(False, reason="nobody could say", unknown=True)
        outcome = "accepted" if found.accepted else "unknown" if found.unknown else "refused"
        AUTHENTICATED_TOTAL.of(kind, outcome).add()
        return found

    async def _ask(self, kind: str, identity: UserIdentity, applicant: Applicant) -> Verified:
        table = self._table
        if kind in table.verifier.kinds and table.verifier:
            # Imported where there is one: JSON and child processes cost memory.
            from agent.security.verifier import ask

            answer = await ask(table.verifier, kind, identity, applicant)
            # PS3.7 Table D.3-15: of a user name there is nothing to respond.
            response = b"" if kind in _WITH_NAME else answer.response
            return Verified(answer.accept, answer.user, response, answer.reason)
        user = claimed_user(identity)
        if not user:
            return Verified(False, reason="the user name cannot be one")
        if kind == "username":
            found = await self._call(is_user, table.passcodes, user)
            return Verified(found, user, reason="" if found else "there is no such user")
        passcode = identity.secondary
        found = await self._call(is_passcode_of, table.passcodes, user, passcode)
        return Verified(found, user, reason="" if found else "user or passcode is wrong")
