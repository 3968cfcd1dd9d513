"""Which instances a peer says that it has, level by level (C-FIND, PS3.4 C.4.1).

Whoever retrieves can then name what is missing, and ask for it again. Memory: three UIDs and the
SOP class of each instance.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NamedTuple

from agent.dataset.attributes import Attributes
from agent.dataset.sop_classes import STUDY_ROOT_FIND
from agent.errors import PeerError
from agent.network.association import Association
from agent.network.negotiation import ContextNeed
from agent.network.status import SUCCESS
from agent.quoting import quoted
from agent.services.data_sets import MESSAGE_SYNTAXES
from agent.services.finding import c_find


class Listed(NamedTuple):
    """Where an instance is, and of which SOP class; "" where the peer does not say."""

    study: str
    series: str
    sop_class_uid: str


def listing_need() -> ContextNeed:
    """What has to be negotiated."""
    return ContextNeed(STUDY_ROOT_FIND, MESSAGE_SYNTAXES)


async def list_instances(association: Association, keys: Attributes) -> dict[str, Listed]:
    """The instances below what `keys` name by Patient ID, Study, Series or SOP Instance UIDs.

    Hierarchical queries of the Study Root. Raises PeerError when the peer does not answer them.
    """
    series_asked = keys.texts("SeriesInstanceUID")
    instances_asked = frozenset(keys.texts("SOPInstanceUID"))
    studies = keys.texts("StudyInstanceUID") or tuple(
        each.text("StudyInstanceUID")
        for each in await _find(
            association, "STUDY", PatientID=keys.text("PatientID"), StudyInstanceUID=""
        )
    )
    found: dict[str, Listed] = {}
    for study in filter(None, studies):
        series = series_asked or await list_series(association, study)
        for one in filter(None, series):

            def take(each: Attributes, place: tuple[str, str] = (study, one)) -> bool:
                # Only what is needed is kept: a series may have very many.
                uid = each.text("SOPInstanceUID")
                if uid and (not instances_asked or uid in instances_asked):
                    found[uid] = Listed(*place, sys.intern(each.text("SOPClassUID")))
                return True

            await _find(
                association,
                "IMAGE",
                take,
                StudyInstanceUID=study,
                SeriesInstanceUID=one,
                SOPInstanceUID="",
                SOPClassUID="",
            )
    return found


async def list_series(association: Association, study: str) -> tuple[str, ...]:
    """The Series Instance UIDs of a study. Raises PeerError when the peer does not answer."""
    found = await _find(association, "SERIES", StudyInstanceUID=study, SeriesInstanceUID="")
    return tuple(each.text("SeriesInstanceUID") for each in found)


async def _find(
    association: Association,
    level: str,
    take: Callable[[Attributes], bool] | None = None,
    **keys: str,
) -> list[Attributes]:
    identifier = Attributes(QueryRetrieveLevel=level, **keys)
    found = await c_find(association, STUDY_ROOT_FIND, identifier, accept=take, name="queries")
    if found.response.status != SUCCESS:
        raise PeerError(
            f"the query at level {level} failed: {quoted(found.response.words)}",
            clause="PS3.4 C.4.1",
        )
    return found.matches
