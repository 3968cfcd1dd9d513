"""The rules for the identifier of a query, and what its keys are (PS3.4 C.4.1.2, C.4.1.3)."""

from __future__ import annotations

from dataclasses import dataclass

from agent.archive import query_keys as keys
from agent.archive.information_model import MODELS, InformationModel
from agent.archive.matching import (
    NEVER_KEYS,
    QUERY_RETRIEVE_LEVEL,
    QUERY_RETRIEVE_VIEW,
    is_universal,
)
from agent.archive.query_records import IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS, Question
from agent.dataset import tags
from agent.dataset.attributes import Attributes
from agent.dataset.attributes_encoding import decode_attributes
from agent.dataset.transfer_syntaxes import TRANSFER_SYNTAXES
from agent.errors import PeerError, StatusReaction


@dataclass(frozen=True, slots=True)
class QueryIdentifier:
    """A query that keeps the rules.

    `keys` are those that we support, with the table of the entity that each is about; `complete`
    says that these are all. `unique` are the tags of unique keys: their entities always have them.
    """

    model: InformationModel
    level: str
    table: int
    attributes: Attributes
    keys: dict[int, int]
    unique: frozenset[int]
    complete: bool


def read_identifier(question: Question) -> QueryIdentifier:
    """The identifier of a question.

    Raises PeerError with A900H and the Offending Element where it is none of its SOP class: without
    a level of the model, or, in a hierarchical query, without a single value for each higher unique
    key or with other keys above its level; and with C000H where it cannot be read.
    """
    attributes = decode_attributes(
        question.identifier, TRANSFER_SYNTAXES[question.transfer_syntax_uid]
    )
    model = MODELS[question.sop_class_uid]
    level = attributes.text(QUERY_RETRIEVE_LEVEL)
    depth = model.depth_of(level)
    if depth is None:
        names = ", ".join(each.name for each in model.levels)
        raise _refused(QUERY_RETRIEVE_LEVEL, f"{model.name} has {names}", level)
    if attributes.has(QUERY_RETRIEVE_VIEW):
        view = attributes.text(QUERY_RETRIEVE_VIEW)
        raise _refused(QUERY_RETRIEVE_VIEW, "Query/Retrieve View is not supported", view)
    table = keys.LEVELS.index(level)
    unique = frozenset(tags.from_text(each.unique) for each in model.levels)
    if not question.relational:
        for each in model.levels[:depth]:
            _check_higher(each.unique, attributes)
    found: dict[int, int] = {}
    complete = True
    for tag in attributes:
        if tag in NEVER_KEYS or tag in keys.ALWAYS_ANSWERED:
            continue
        vr = attributes[tag].vr
        owner = keys.table_of(tag, vr, table)
        if (vr == "SQ") != (tags.dictionary_value_representation(tag) == "SQ"):
            # A sequence that says it is text, or the other way round: no key of ours.
            owner = None
        owner_depth = None if owner is None else keys.level_of(owner, model)
        if owner is None or owner_depth is None or owner_depth > depth:
            complete = False
            continue
        if owner_depth < depth and not question.relational and tag not in unique:
            _check_above(tag, attributes, level)
        found[tag] = owner
    return QueryIdentifier(model, level, table, attributes, found, unique, complete)


def _check_higher(keyword: str, attributes: Attributes) -> None:
    """C.4.1.2.1: a single value in the unique key of each level above that of the query."""
    tag = tags.from_text(keyword)
    values = attributes.texts(tag)
    if len(values) != 1 or not values[0] or any(each in values[0] for each in "*?"):
        wanted = f"{keyword} must have one value at this level"
        raise _refused(tag, wanted, "\\".join(values))


def _check_above(tag: int, attributes: Attributes, level: str) -> None:
    """C.4.1.2.1: no other key of the levels above. Asked for only, it is answered."""
    key = attributes[tag]
    asks_only = is_universal(key) if key.vr != "SQ" else not any(map(len, attributes.items_of(tag)))
    if not asks_only:
        comment = f"{tags.keyword_of(tag)} is no key of the {level} level"
        raise _refused(tag, comment, attributes.texts(tag))


def _refused(tag: int, comment: str, value: object) -> PeerError:
    return PeerError(
        f"the identifier does not match its SOP class: {comment}",
        clause="PS3.4 C.4.1.2.1",
        value=value,
        reaction=StatusReaction(IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS, comment, (tag,)),
    )
