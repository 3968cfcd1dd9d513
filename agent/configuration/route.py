"""Routes: what becomes of an object that came in."""

from __future__ import annotations

from collections.abc import Mapping

from agent.configuration.key import key, section
from agent.configuration.kind import INVALID, Place, Scalar
from agent.configuration.kinds import (
    ApplicationEntityTitle,
    Choice,
    Flag,
    ListOf,
    Table,
    Tables,
    Text,
    count,
    duration,
    identifier,
)
from agent.configuration.names import Attribute, Names, NamesOf
from agent.configuration.patterns import pattern

# PS3.4 Table B.4-1: all that a storage SCP may coerce on receipt.
COERCIBLE = frozenset((0x0010_0020, 0x0010_0021, 0x0010_1002, 0x0020_000D, 0x0020_000E))


@section
class Condition:
    """A test of one attribute: exactly one of the tests below. Of several values, one must fit."""

    attribute: int = key(Attribute(), "the attribute, of the top level of the data set")
    equals: str | None = key(Text(1024), "its value", default=None)
    one_of: tuple[str, ...] | None = key(
        ListOf(Text(1024), minimum=1), "one of these values", default=None
    )
    wildcard: str | None = key(
        Text(256), "its value, with * for any text and ? for one character", default=None
    )
    regex: str | None = key(
        pattern(),
        "a regular expression that the whole value must match (a value of more than 128 characters "
        "never does)",
        default=None,
    )
    exists: bool | None = key(Flag(), "whether it is there with a value", default=None)
    negate: bool = key(Flag(), "true turns the test round", default=False, name="not")

    @property
    def test(self) -> str:
        """Which test it is: "equals", "one_of", "wildcard", "regex" or "exists"."""
        return next(each for each in TESTS if getattr(self, each) is not None)


FETCHED = "fetch"
"""The source of objects that we asked a peer for."""
TESTS = ("equals", "one_of", "wildcard", "regex", "exists")


@section
class Match:
    """What an object must be: all that is given must hold. Nothing given fits every object but
    those that we retrieved ourselves (`fetch`), which a route must name by `source`."""

    called: tuple[str, ...] = key(
        ListOf(ApplicationEntityTitle()), "the AE title that was called", default=()
    )
    calling: tuple[str, ...] = key(
        ListOf(ApplicationEntityTitle()), "the AE title that called", default=()
    )
    peers: tuple[str, ...] = key(
        ListOf(Text(64)), "the configured peer that called", default=(), name="peer"
    )
    entities: tuple[str, ...] = key(
        ListOf(Text(64)), "the local entity that was called", default=(), name="entity"
    )
    sources: tuple[str, ...] = key(
        ListOf(Choice("network", "folder", "capture", "import", "local", FETCHED)),
        "the way by which it came; `fetch`: we had it retrieved from a peer, and no route has it "
        "sent on, or back, that does not name this",
        default=(),
        name="source",
    )
    modalities: tuple[str, ...] = key(
        ListOf(Text(16, minimum=1)), "its Modality (0008,0060)", default=(), name="modality"
    )
    sop_classes: Names = key(
        NamesOf("SOP class"), "its SOP class", default=Names(), name="sop_class"
    )
    conditions: tuple[Condition, ...] = key(
        Tables(Condition, named=False),
        "tests of attributes",
        default=(),
        name="attribute",
        example='[{ attribute = "BodyPartExamined", one_of = ["HEAD", "NECK"] }]',
    )


class TextByText(Scalar):
    """A table from text to text."""

    allowed = "a table of texts, at most 4096"

    def read(self, value: object, place: Place) -> Mapping[str, str]:
        if not isinstance(value, dict) or not 0 < len(value) <= 4096:
            return self._refused(value, place)
        if not all(isinstance(each, str) for each in value.values()):
            return self._refused(value, place)
        return dict(value)

    def _refused(self, value: object, place: Place) -> Mapping[str, str]:
        self.refuse(value, place)
        refused: Mapping[str, str] = INVALID
        return refused


@section
class Change:
    """A change of one attribute: exactly one of set, map and delete."""

    attribute: int = key(Attribute(), "the attribute, of the top level of the data set")
    set: str | None = key(
        Text(10240), "the new value; several are parted by a backslash", default=None
    )
    map: Mapping[str, str] | None = key(
        TextByText(), "a table from old to new values; others stay as they are", default=None
    )
    otherwise: str | None = key(
        Text(10240), "with map: the value for all that the table does not name", default=None
    )
    delete: bool = key(Flag(), "true takes the attribute out", default=False)

    @property
    def action(self) -> str:
        """Which change it is: "set", "map" or "delete"."""
        return "set" if self.set is not None else "map" if self.map is not None else "delete"


@section
class Route:
    """A rule for objects that come in. Every route that fits is followed, in the order written."""

    name: str = key(identifier(), "its name in this configuration")
    enabled: bool = key(Flag(), "false switches it off", default=True)
    description: str = key(Text(256), "for people", default="")
    match: Match = key(Table(Match), "which objects", default=Match())
    deliver: tuple[str, ...] = key(
        ListOf(Text(64)), "peers to which they are sent", default=(), example='["PACS"]'
    )
    changes: tuple[Change, ...] = key(
        Tables(Change, named=False),
        "changes of the copies that this route sends; what is stored stays as it is",
        default=(),
        name="change",
        example='[{ attribute = "InstitutionName", set = "St. Elsewhere" }]',
    )
    deidentify: str = key(
        Text(64),
        "how the copies that this route sends are de-identified, after their changes: the name of "
        "a `[[deidentify]]`; objects of no patient go out as they are",
        default="",
        default_text="not at all",
        example='"trial"',
    )
    on_receipt: tuple[Change, ...] = key(
        Tables(Change, named=False),
        "changes before storing, answered with a warning (B000); only attributes of PS3.4 "
        "Table B.4-1, and never of non-patient objects (PS3.4 GG)",
        default=(),
        example='[{ attribute = "PatientID", map = { "A17" = "4711" } }]',
    )
    hold: bool = key(
        Flag(), "make the deliveries, but hold them until a person lets them go", default=False
    )
    drop: bool = key(
        Flag(), "answer success and keep nothing; only for what nobody wants", default=False
    )
    priority: int = key(count(-100, 100), "deliveries with a higher number go first", default=0)
    delay: float = key(duration(0, 30 * 86400), "wait this long before the first try", default=0.0)
    last: bool = key(Flag(), "routes behind this one are not asked", default=False)
