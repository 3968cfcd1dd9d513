"""What the conformance statement says of non-patient objects, repository queries and inventories.

Each section answers what one clause of PS3.4 wants stated: U.6.1.3 and its siblings, C.6.4.6,
KK.2.4 and GG.6.6.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from agent.archive.object_keys import COMBINED, ObjectKey, object_keys
from agent.archive.object_models import OBJECT_MODEL_NAMES
from agent.configuration.entity import Entity
from agent.conformance_sections import section

_MATCHING = (
    ("Search method", '"Worklist": one response for each instance'),
    ("Unknown values", "match the universal key only (K.2.2.1.1.1)"),
    ("Return keys with a value, keys not listed", "not matched; status FF01H"),
    ("A key sequence of several items", "refused with A900H"),
    ("Specific Character Set", "of the request is honoured; a response states the instance's own"),
    ("Extended negotiation", "fuzzy matching of names, timezone adjustment (K.5.1, bytes 3 and 4)"),
    ("Several instances of one UID", "the one that was received last is found and retrieved"),
    (
        "Well-known colour palettes (PS3.6 B.1)",
        "answered and sent although none is stored; what is stored under their UIDs goes first",
    ),
    ("C-MOVE, C-GET", "one SOP Instance UID or a list; Query/Retrieve Level is not regarded"),
    ("Sub-operations", "C-STORE under the storage classes of the model (Table GG.3-1)"),
    ("Instances that are superseded", "found like all others"),
    (
        "What is stored",
        "is never modified, constraints of protocols included, so that its UID stays "
        "(GG.4.2, GG.6.3, GG.6.4)",
    ),
)

_REPOSITORY = (
    ("Model, required and optional keys, matching", "as Study Root, see Query/Retrieve"),
    ("Record Key", "of each entity: its row and its UID; responses are in this order"),
    (
        "A Record Key is valid",
        "until the entity is deleted or the index rebuilt, then A710H; also for other keys",
    ),
    ("Maximum Number of Records", "kept; B001H where there are more. No limit of our own"),
    ("Removed from Operational Use, Reason for Removal, Metadata", "not supported"),
    ("Entities of other repositories", "none"),
    ("Relational search", "supported, where negotiated"),
)

_CREATION = (
    ("Who may initiate", "a peer with an address and this service, else 0124H"),
    ("Initiate", "queued, made one after the other; 16 at most, then 0213H"),
    ("Scope of Inventory", "range, list of UID and general matching of keys of patient and study"),
    ("Scope under RELATIONAL", "keys of series and instances too, down to Query/Retrieve Level"),
    ("Scope under empty value matching", "keys of the VRs of PS3.4 C.2.2.2.7, without a value"),
    ("Ranges", "as in queries, or two values, of which one may be empty"),
    ("Extended Matching Mechanisms", "those that queries of the entity offer; others 0212H"),
    ("Specific Character Set in the scope", "all of PS3.3 C.12.1.1.2; others 0212H"),
    ("Keys that are not matched", "B010H with their tags; the inventory states those matched only"),
    ("Inventory Level", "STUDY, SERIES, INSTANCE; others 0212H"),
    ("Requested Status Interval", "in minutes, any; without, status is told of changes only"),
    ("PAUSED", "by request only; a pause outlives a restart"),
    ("CANCELED", "by request; Retain Instances N makes no root instance, and event 13"),
    ("FAILURE", "the disk or the index failed, with the reason in Transaction Status Comment"),
    ("Event 12", "on each change of state, on request, at the interval"),
    ("Event 11", "names the root instance and Retrieve AE Title"),
    ("Events", "kept on disk until the peer has taken them, over associations that we open"),
    ("Split", "at 128 MiB of study records: linked by Incorporated Inventory Instance Sequence"),
    ("Instances are kept", "as other objects of the archive"),
    ("Existing inventories", "not incorporated"),
    ("A Transaction UID", "is refused for 90 days after its end (0110H)"),
)


def objects(entity: Entity) -> Iterator[str]:
    """The sections that an entity has reason for, as lines of Markdown."""
    if entity.services_of("non-patient-query", "scp"):
        yield from section("Non-patient objects as SCP (PS3.4 U, X, BB, HH, II, JJ)", _MATCHING)
        yield from _models()
    if entity.services_of("repository-query", "scp"):
        yield from section("Repository Query as SCP (PS3.4 C.6.4.6.2)", _repository(entity))
    if entity.services_of("inventory-creation", "scp"):
        yield from section("Inventory Creation as SCP (PS3.4 KK.2.4.2, GG.6.6.1)", _CREATION)


def _models() -> Iterator[str]:
    for model in OBJECT_MODEL_NAMES.values():
        yield ""
        yield f"#### {model.name}"
        yield ""
        yield "| keys that are matched and returned | keys that are returned |"
        yield "|---|---|"
        keys = object_keys(model)
        yield f"| {_listed(keys, matched=True)} | {_listed(keys, matched=False)} |"
        for pair in COMBINED.get(model.find, ()):
            yield ""
            yield f"Ranges of {' and '.join(pair)} are one range."


def _repository(entity: Entity) -> Iterable[tuple[str, str]]:
    yield from _REPOSITORY
    where = entity.queries.file_access
    if where:
        yield (
            "File Set Access, File Access",
            f"single files (DICM) below {where}; Updated Metadata is empty, for files are "
            "rewritten when something in them is corrected",
        )
    else:
        yield "File Set Access, File Access", "not supported"


def _listed(keys: Mapping[int, ObjectKey], *, matched: bool) -> str:
    """Keywords, those within a sequence in brackets; codes are not spelt out."""
    found = []
    for row in keys.values():
        if row.matches != matched:
            continue
        below = ""
        if row.items and not any(each.keyword == "CodeValue" for each in row.items.values()):
            names = [each.keyword for each in row.items.values()]
            below = f" ({', '.join(names)})"
        found.append(row.keyword + below)
    return ", ".join(found)
