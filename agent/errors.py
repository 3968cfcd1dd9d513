"""The error families: whose fault it is, and what the wire shall say about it.

Every error carries as data what a handler needs in order to react: the clause of the standard that
was broken, the value that broke it, the limit that it broke, the reaction on the wire, and the way
out for a person. The text is one clear sentence; what others wrote is marked in it (`quoting`).

    GantryError
    ├── LocalError            we are wrong: a call that the state or the clause does not allow
    │   └── ConfigurationError   the configuration asks for what cannot be
    ├── PeerError             the peer is wrong, gone, or says no
    │   └── UnreachableError     no connection to the peer could be made
    ├── DeviceError           a piece of hardware is wrong or gone
    └── StorageError          a disk, a file or the index is wrong, full or gone
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.quoting import Sentence, without_quotes


@dataclass(frozen=True, slots=True)
class AbortReaction:
    """Answer with an A-ABORT PDU (PS3.8 9.3.8).

    Source 0 is the service user, 2 the service provider; the reason counts only with source 2.
    """

    source: int
    reason: int = 0


@dataclass(frozen=True, slots=True)
class RejectReaction:
    """Answer with an A-ASSOCIATE-RJ PDU (PS3.8 9.3.4)."""

    result: int
    source: int
    reason: int


@dataclass(frozen=True, slots=True)
class StatusReaction:
    """Answer with a DIMSE status (PS3.7 Annex C) and the fields that explain it.

    `comment` goes into Error Comment (0000,0902), LO, cut to 64 characters by the encoder; it is a
    `Sentence`, as the text of an error is;
    `offending_elements` into (0000,0901), AT; `error_id` into (0000,0903), US;
    `attribute_identifiers` into (0000,1005), AT.
    """

    status: int
    comment: str = ""
    offending_elements: tuple[int, ...] = ()
    error_id: int | None = None
    attribute_identifiers: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.comment:
            object.__setattr__(self, "comment", Sentence(self.comment))


Reaction = AbortReaction | RejectReaction | StatusReaction


class GantryError(Exception):
    """The root of all errors that Gantry raises on purpose; never raised itself."""

    def __init__(
        self,
        message: str,
        *,
        clause: str = "",
        value: object = None,
        limit: object = None,
        reaction: Reaction | None = None,
        way_out: str = "",
    ) -> None:
        self.message = Sentence(message)
        super().__init__(str(self.message))
        self.clause = clause
        self.value = value
        self.limit = limit
        self.reaction = reaction
        self.way_out = Sentence(way_out)

    def __str__(self) -> str:
        return str(Sentence(self.marked))

    @property
    def marked(self) -> str:
        """All of the text with its marks, for `quoted`."""
        marked = self.message.marked
        return f"{marked} ({self.clause})" if self.clause else marked

    @property
    def in_log(self) -> str:
        """The text without what others wrote."""
        return without_quotes(self.marked)

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross from worker processes to the node: keep their data when pickled.
        return (_rebuild, (type(self), self.message, self.__dict__.copy()))


def _rebuild(kind: type[GantryError], message: str, fields: dict[str, object]) -> GantryError:
    error = kind.__new__(kind)
    Exception.__init__(error, str(message))
    error.__dict__.update(fields)
    return error


class LocalError(GantryError):
    """We are wrong: the call is not allowed in this state, or breaks a clause on our side."""


class ConfigurationError(LocalError):
    """The configuration is wrong; `value` is what it says, `limit` what it may say."""


class PeerError(GantryError):
    """The peer is wrong: it broke a clause, stopped answering, or refused what we asked."""


class UnreachableError(PeerError):
    """No transport connection to the peer: refused, timed out, no route, or no such host name."""


class DeviceError(GantryError):
    """A device is wrong: unplugged, busy, without signal, or not what it claims to be."""


class StorageError(GantryError):
    """A disk, a file or the index is wrong: full, damaged, read-only or gone."""
