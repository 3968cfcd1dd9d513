"""Queries of Query/Retrieve as SCU: the identifier, and the answers (PS3.4 C.4.1.2)."""

from __future__ import annotations

from collections.abc import Callable

from agent.archive.information_model import MODELS, InformationModel
from agent.archive.matching import NEVER_KEYS
from agent.archive.query_keys import ALWAYS_ANSWERED, PATIENT, level_of, table_of
from agent.dataset import tags
from agent.dataset.attributes import Attributes
from agent.dataset.attributes_encoding import with_character_set
from agent.errors import LocalError
from agent.network.association import Association
from agent.quoting import quoted
from agent.services.filtered_find import QueryResult, filtered_find
from agent.services.post_filter import PostFilter
from agent.services.query import agreed_options

RETURN_KEYS: dict[str, tuple[str, ...]] = {
    "PATIENT": (
        "PatientName",
        "PatientID",
        "IssuerOfPatientID",
        "PatientBirthDate",
        "PatientSex",
        "NumberOfPatientRelatedStudies",
    ),
    "STUDY": (
        "StudyDate",
        "StudyTime",
        "AccessionNumber",
        "ModalitiesInStudy",
        "ReferringPhysicianName",
        "StudyDescription",
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "PatientSex",
        "StudyInstanceUID",
        "StudyID",
        "NumberOfStudyRelatedSeries",
        "NumberOfStudyRelatedInstances",
    ),
    "SERIES": (
        "Modality",
        "SeriesDescription",
        "BodyPartExamined",
        "SeriesInstanceUID",
        "SeriesNumber",
        "NumberOfSeriesRelatedInstances",
    ),
    "IMAGE": ("SOPClassUID", "SOPInstanceUID", "InstanceNumber", "NumberOfFrames"),
}
"""What is asked to be returned where nobody says."""


def query_identifier(
    sop_class_uid: str,
    level: str,
    keys: Attributes,
    *,
    relational: bool = False,
    character_set: str = "",
) -> Attributes:
    """A request identifier: the level, these keys, and the unique key of the level.

    In a hierarchical query each higher level needs the one value of its unique key, and no other
    key of these levels may stand there (C.4.1.2.1). In a relational one the unique keys are there
    in any case, empty where no value is given. What only responses have is left out
    (C.4.1.1.3.2). Raises LocalError for what the model or the rules do not allow.
    """
    model = MODELS[sop_class_uid]
    depth = model.depth_of(level)
    if depth is None:
        levels = ", ".join(each.name for each in model.levels)
        raise LocalError(
            f"The {model.name} has no level {quoted(level)}.",
            clause="PS3.4 C.6",
            value=level,
            limit=levels,
            way_out=f"Ask at one of {levels}.",
        )
    made = keys.copy()
    for tag in (*ALWAYS_ANSWERED, *(NEVER_KEYS - {tags.SPECIFIC_CHARACTER_SET})):
        made.remove(tag)
    if not relational:
        _check_hierarchical(model, depth, made)
    for each in model.levels[: depth + 1]:
        if each.unique not in made:
            made.set(each.unique)
    made.set("QueryRetrieveLevel", level)
    return with_character_set(made, character_set)


def _check_hierarchical(model: InformationModel, depth: int, keys: Attributes) -> None:
    for each in model.levels[:depth]:
        values = keys.texts(each.unique)
        if len(values) != 1 or not values[0] or any(mark in values[0] for mark in "*?"):
            raise LocalError(
                f"A query below the {each.name} level needs one {each.unique}.",
                clause="PS3.4 C.4.1.2.1",
                value=values,
                way_out=f"Give {each.unique}=VALUE, or negotiate relational queries.",
            )
    unique = {tags.from_text(each.unique) for each in model.levels}
    for tag in keys:
        table = table_of(tag, keys[tag].vr, PATIENT)
        above = None if table is None else level_of(table, model)
        if tag not in unique and above is not None and above < depth:
            raise LocalError(
                f"{tags.keyword_of(tag)} is a key of a higher level than that of the query.",
                clause="PS3.4 C.4.1.2.1",
                value=keys.texts(tag),
                way_out="Leave it out, ask at its level first, or negotiate relational queries.",
            )


async def find(
    association: Association,
    sop_class_uid: str,
    identifier: Attributes,
    *,
    most: int = 0,
    post_filter: bool = True,
    on_match: Callable[[Attributes], None] | None = None,
) -> QueryResult:
    """Ask, and gather what matches, as `agent.services.filtered_find` does; answers are matched
    again, as far as that is safe, if they are to be."""
    options = agreed_options(association, sop_class_uid)
    check = PostFilter(identifier, options) if post_filter else None
    name = f"queries of the {MODELS[sop_class_uid].name}"
    return await filtered_find(
        association, sop_class_uid, identifier, check, name, most=most, on_match=on_match
    )
