"""User identities: how those of callers are verified, and which we present ourselves."""

from __future__ import annotations

from agent.configuration.key import key, section
from agent.configuration.kinds import Choice, Flag, ListOf, Path, Table, Text, count, duration
from agent.configuration.secrets import Secret, SecretPlace

# User-Identity-Type of PS3.7 Table D.3-14.
KINDS = {
    "username": 1,
    "username-and-passcode": 2,
    "kerberos": 3,
    "saml": 4,
    "jwt": 5,
}
PROVED = tuple(name for name in KINDS if name != "username")


@section
class Verifier:
    """A program of your own that says whether an identity is good.

    It is asked by one JSON object on one line and answers by one. A program gets the line on its
    standard input and ends with status 0; a socket gets it on a connection of its own. Nothing
    secret is ever among its arguments.

    The question has `version` (1), `kind` (a word of `kinds`), `primary` and `secondary` (the
    fields of PS3.7 Table D.3-14, in base64), `positive_response_requested`, `called`, `calling`,
    `address`, and `subject` (of the caller's certificate, or empty). The answer is `{"accept":
    true, "user": NAME, "response": BASE64}`, where `response` may be left out, or `{"accept":
    false, "reason": TEXT}`. Anything else, another status, or no answer within `limit` means that
    nobody knows: the caller is rejected for now.
    """

    program: tuple[str, ...] = key(
        ListOf(Text(1024, minimum=1), maximum=64),
        "the program with its arguments, started for each identity",
        default=(),
        example='["/usr/local/lib/verify-token", "--realm", "hospital"]',
    )
    socket: str = key(
        Path(), "instead of a program: a Unix socket on which one listens", default=""
    )
    kinds: tuple[str, ...] = key(
        ListOf(Choice(*KINDS)),
        "the kinds of identity that it is asked about",
        default=("kerberos", "saml", "jwt"),
    )

    def __bool__(self) -> bool:
        return bool(self.program or self.socket)


@section
class Identity:
    """How the user identities of callers are verified (PS3.7 D.3.3.7).

    Which entities and services look at them is said in their `accept`.
    """

    passcodes: str = key(
        Path(),
        "the file of users with their passcodes, as salted hashes: `gantry access passcode` writes "
        "it; changes hold at once",
        default="",
        example='"/etc/gantry/passcodes"',
    )
    verifier: Verifier = key(
        Table(Verifier), "a program that verifies identities", default=Verifier()
    )
    limit: float = key(
        duration(0.1, 300), "the longest time for an identity to be verified", default=10.0
    )
    at_once: int = key(
        count(1, 64), "identities that are verified at once; others wait their turn", default=2
    )
    waiting: int = key(
        count(1, 4096),
        "associations that wait for their identity to be verified; more are rejected for now",
        default=32,
    )


@section
class PresentedIdentity:
    """The user identity with which we call a peer (PS3.7 D.3.3.7)."""

    kind: str = key(
        Choice("none", *KINDS),
        "what is presented",
        default="none",
    )
    user: str = key(Text(1024), "the user name, for the kinds that have one", default="")
    secret: Secret = key(
        SecretPlace(),
        "where the passcode, Kerberos service ticket, SAML assertion or JSON Web Token lies; it is "
        "read anew for each association",
        default=Secret(),
        example='{ file = "/etc/gantry/archive.token" }',
    )
    positive_response: str = key(
        Choice("no", "asked", "required"),
        "whether the peer is asked to confirm; with `required` an association that it accepts "
        "without a word on the identity is aborted; there are peers that verify user names and "
        "never confirm them",
        default="asked",
    )

    def __bool__(self) -> bool:
        return self.kind != "none"


@section
class AcceptedIdentity:
    """Whether callers identify their users."""

    wanted: str = key(
        Choice("ignored", "optional", "required"),
        "whether a user identity is looked at: not at all; where it is given, and a wrong one is "
        "refused; or nobody may call without one",
        default="ignored",
    )
    kinds: tuple[str, ...] = key(
        ListOf(Choice(*KINDS), minimum=1),
        "kinds of identity that count; a name alone proves nothing, and must be listed to be taken",
        default=PROVED,
    )
    respond: bool = key(
        Flag(), "confirm a verified identity where the caller asks for it", default=True
    )
