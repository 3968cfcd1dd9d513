"""What the conformance statement says of queries (PS3.4 C.6.1.2, C.6.2.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agent.archive.information_model import MODELS, InformationModel
from agent.archive.query_keys import TABLES, keys_at, level_of
from agent.configuration.entity import Entity
from agent.dataset.sop_classes import name_of
from agent.services.offer import abstract_syntaxes_of
from agent.services.query import SWITCHES

_OPTIONS = {
    "relational": "relational queries",
    "date_time": "combined date-time matching",
    "fuzzy": "fuzzy semantic matching of person names",
    "timezone": "timezone query adjustment",
    "view": "Query/Retrieve View (Enhanced Multi-Frame Image Conversion)",
    "empty": "Empty Value Matching",
    "multiple": "Multiple Value Matching",
}

_MATCHING = (
    ("Single value", "exact, case-sensitive; PN as below; DA, TM and DT by what they mean"),
    ("DS and IS", "by the number: 1, +1 and 1.0 are the same"),
    (
        "PN (all attributes of this VR)",
        "without regard to case, composed characters and trailing empty components; wild cards `*` "
        "and `?`; a key of one component group is tried on each group, one of several group by "
        "group; accents count",
    ),
    (
        "PN, fuzzy",
        "what matches literally; else each word of the key is found among the words of the name in "
        "any order: as its beginning, or sounding alike (same first letter, consonants of the same "
        "kinds); accents, widths, kana, ck/k, ph/f, th/t, y/i, double letters do not count",
    ),
    ("Unknown values", "a required or optional key without a value matches whatever is asked"),
    (
        "Several values of a key",
        "without negotiation any of them, with it all of them; UIDs always any of them",
    ),
    ("Two quotation marks", "empty values, where negotiated; else literal"),
    (
        "Specific Character Set",
        "that of the request is honoured; a response states that of the stored values, or "
        "ISO_IR 192 where it has values of several",
    ),
    (
        "Timezone Offset From UTC",
        "where negotiated: what is stored is taken to be in the timezone of this node, moved to "
        "that of the request and matched there; responses state the node's own",
    ),
    ("Query/Retrieve View", "not supported: refused with A900H"),
    (
        "Entities",
        "an attribute of a patient, study or series is that of the instance that came first; "
        "patients without a Patient ID are not at the PATIENT level",
    ),
    (
        "Hierarchical rules",
        "without a single value for each higher unique key, or with another key of a higher level "
        "to match, a query is refused with A900H; higher keys of zero length are answered",
    ),
    ("Keys not listed", "not returned, status FF01H"),
    ("Always returned", "Retrieve AE Title (0008,0054), Instance Availability (0008,0056) ONLINE"),
    ("Private attributes", "not supported"),
    ("Priority", "not regarded"),
)

_STATUSES = (
    ("0000H", "all matches were sent"),
    ("FF00H", "a match; all keys are supported"),
    ("FF01H", "a match; a key of the request is not supported"),
    ("FE00H", "cancelled"),
    ("A700H", "the archive cannot be read now"),
    ("A900H", "the identifier does not match the SOP class; Offending Element says where"),
    ("C000H", "the identifier cannot be read, or the query not be processed"),
)


def queries(entity: Entity) -> Iterator[str]:
    """The sections that an entity has reason for, as lines of Markdown."""
    for table in entity.services_of("query", "scp"):
        yield from _scp(entity, sorted(abstract_syntaxes_of(entity, table)))
        break
    if entity.services_of("query", "scu"):
        yield from _scu()


def _scp(entity: Entity, classes: Sequence[str]) -> Iterator[str]:
    yield ""
    yield "### Query/Retrieve, C-FIND as SCP (PS3.4 C.6.1.2.2.1, C.6.2.2.2.1)"
    for uid in classes:
        yield ""
        yield f"#### {name_of(uid)}"
        yield ""
        yield from _levels(MODELS[uid])
    yield ""
    yield "| extended negotiation | |"
    yield "|---|---|"
    for option, meaning in _OPTIONS.items():
        agreed = option in SWITCHES and option in entity.queries.options
        says = entity.extended_negotiation and agreed
        yield f"| {meaning} | {'supported' if says else 'not supported'} |"
    yield ""
    yield "| matching | |"
    yield "|---|---|"
    for item, value in _MATCHING:
        yield f"| {item} | {value} |"
    yield ""
    yield "| response | meaning |"
    yield "|---|---|"
    for status, meaning in _STATUSES:
        yield f"| {status} | {meaning} |"


def _levels(model: InformationModel) -> Iterator[str]:
    yield "| level | unique key | required keys | optional keys, all matched and returned |"
    yield "|---|---|---|---|"
    for depth, level in enumerate(model.levels):
        optional = [
            keyword
            for table in range(len(TABLES))
            if level_of(table, model) == depth
            for keyword in keys_at(table)
            if keyword != level.unique and keyword not in level.required
        ]
        if level.name == "IMAGE":
            optional.append("every other standard attribute of the object but bulk data")
        yield (
            f"| {level.name} | {level.unique} | {', '.join(level.required)} "
            f"| {', '.join(optional)} |"
        )


def _scu() -> Iterator[str]:
    yield ""
    yield "### Query/Retrieve, C-FIND as SCU (PS3.4 C.6.1.2.1.1, C.6.2.2.1.1)"
    yield ""
    yield "| item | value |"
    yield "|---|---|"
    yield "| Optional keys | those that a person or the configuration names |"
    yield "| Relational queries | after byte 1 was accepted; without, only for a peer whose quirk |"
    yield "| | `relational_unnegotiated` says that it wants them so |"
    yield "| Extended negotiation | all options but Query/Retrieve View, where they are asked for |"
    yield "| Specific Character Set | none for ASCII; else ISO_IR 192, or as configured |"
    yield "| Timezone Offset From UTC | sent where timezone query adjustment was agreed on |"
    yield "| Responses | those whose values differ from the keys are left out: names without |"
    yield "| | regard to case and accents, and not at all after fuzzy matching; times not after |"
    yield "| | timezone adjustment; what the response's character set cannot say is kept |"
    yield "| FF00H, FF01H | both deliver matches |"
