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
from agent.network.association import Association
from agent.services.filtered_find import QueryResult, filtered_find
from agent.services.object_query import agreed_on
from agent.services.post_filter import PostFilter
from agent.services.query import Options


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
    name = f"queries of the {OBJECT_MODELS[sop_class_uid].name} model"
    return await filtered_find(
        association, sop_class_uid, identifier, check, name, most=most, on_match=on_match
    )
