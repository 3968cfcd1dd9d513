"""Queries of non-patient objects as SCU: the identifier, and the answers (PS3.4 K.4.1.2, U.4.1)."""

from __future__ import annotations

from collections.abc import Callable

from agent.archive.matching import NEVER_KEYS
from agent.archive.object_keys import object_keys
from agent.archive.object_models import OBJECT_MODELS
from agent.dataset import tags
from agent.dataset.attributes import Attributes
from agent.dataset.attributes_encoding import with_character_set
from agent.errors import LocalError
from agent.network.association import Association, Response
from agent.network.status import SUCCESS
from agent.services.finding import c_find
from agent.services.object_query import agreed_on
from agent.services.post_filter import PostFilter, Verdict
from agent.services.query import Options
from agent.services.query_request import QueryResult


def object_identifier(
    sop_class_uid: str, keys: Attributes, *, character_set: str = "", everything: bool = False
) -> Attributes:
    """A request identifier: these keys and the SOP Instance UID, without a level (U.4.1).

    With `everything` all other keys of the model are asked for besides. Raises LocalError for a
    value of a key that is for return only.
    """
    model = OBJECT_MODELS[sop_class_uid]
    rows = object_keys(model)
    made = keys.copy()
    for tag in NEVER_KEYS - {tags.SPECIFIC_CHARACTER_SET}:
        made.remove(tag)
    for tag in made:
        row = rows.get(tag)
        if row is not None and not row.matches and made.has(tag):
            raise LocalError(
                f"{row.keyword} is no matching key of the {model.name} model.",
                clause="PS3.4 K.2.2.1",
                value=made.text(tag),
                way_out=f"Ask for it to be returned: {row.keyword} without a value.",
            )
    for tag, row in rows.items():
        if tag not in made and (everything or row.matching == "U"):
            made.set(tag)
    return with_character_set(made, character_set)


async def find_objects(
    association: Association,
    sop_class_uid: str,
    identifier: Attributes,
    *,
    most: int = 0,
    post_filter: bool = True,
    on_match: Callable[[Attributes], None] | None = None,
) -> QueryResult:
    """Ask, and gather what matches, as `agent.services.query_request.find` does."""
    fuzzy, timezone = agreed_on(association, sop_class_uid)
    check = PostFilter(identifier, Options(fuzzy=fuzzy, timezone=timezone)) if post_filter else None
    result = QueryResult(Response(SUCCESS))

    def take(match: Attributes) -> bool:
        verdict = check.verdict(match) if check is not None else Verdict.MATCHES
        if verdict is Verdict.DIFFERS:
            result.dropped += 1
            return False
        result.uncertain += verdict is Verdict.UNCERTAIN
        if on_match is None:
            result.matches.append(match)
        else:
            on_match(match)
        return True

    name = f"queries of the {OBJECT_MODELS[sop_class_uid].name} model"
    found = await c_find(association, sop_class_uid, identifier, most=most, accept=take, name=name)
    result.response = found.response
    result.truncated = found.truncated
    result.optional_keys_ignored = found.optional_keys_ignored
    return result
