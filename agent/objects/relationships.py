"""Which items may stand in which relationship: the tables of PS3.3 A.35, one for each IOD.

Each row: the value types of the source, the relationship, the value types of the target. Items
stand in each other; relationships by reference are not made here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from agent.errors import LocalError
from agent.objects.content_tree import (
    CONTAINS,
    HAS_ACQUISITION_CONTEXT,
    HAS_CONCEPT_MODIFIER,
    HAS_OBSERVATION_CONTEXT,
    HAS_PROPERTIES,
    INFERRED_FROM,
    SELECTED_FROM,
    Container,
    ContentItem,
)

BASIC_TEXT_SR = "1.2.840.10008.5.1.4.1.1.88.11"
ENHANCED_SR = "1.2.840.10008.5.1.4.1.1.88.22"
COMPREHENSIVE_SR = "1.2.840.10008.5.1.4.1.1.88.33"
KEY_OBJECT_SELECTION = "1.2.840.10008.5.1.4.1.1.88.59"
X_RAY_RADIATION_DOSE_SR = "1.2.840.10008.5.1.4.1.1.88.67"
PROCEDURE_LOG = "1.2.840.10008.5.1.4.1.1.88.40"


MAY_GO_WITHOUT_NAME = frozenset(("CONTAINER", "IMAGE", "COMPOSITE", "WAVEFORM", "SCOORD", "TCOORD"))
"""Value types of items that may have no concept name (C.17.3.2)."""


class Relationships(NamedTuple):
    """The table of one IOD; "*" is every value type that the table knows."""

    clause: str
    rows: tuple[tuple[str, str, str], ...]


_FACTS = "TEXT CODE DATETIME DATE TIME UIDREF PNAME"
_OBJECTS = "COMPOSITE IMAGE WAVEFORM"
_MEASURED = f"{_FACTS} NUM"
_COORDINATES = "SCOORD TCOORD"
_ALL = f"{_MEASURED} {_COORDINATES} {_OBJECTS}"
_DOSE_FACTS = "TEXT CODE NUM DATETIME UIDREF PNAME"
_ENTRIES = f"TEXT CODE NUM PNAME {_OBJECTS}"
_LOG_FACTS = "TEXT CODE NUM DATETIME UIDREF PNAME"

_TABLES: Mapping[str, Relationships] = {
    BASIC_TEXT_SR: Relationships(
        "A.35.1.3.1.2",
        (
            ("CONTAINER", CONTAINS, f"{_FACTS} {_OBJECTS} CONTAINER"),
            ("CONTAINER", HAS_OBSERVATION_CONTEXT, f"{_FACTS} COMPOSITE"),
            (f"CONTAINER {_OBJECTS}", HAS_ACQUISITION_CONTEXT, _FACTS),
            ("*", HAS_CONCEPT_MODIFIER, "TEXT CODE"),
            ("TEXT", HAS_PROPERTIES, f"{_FACTS} {_OBJECTS}"),
            ("PNAME", HAS_PROPERTIES, _FACTS),
            ("TEXT", INFERRED_FROM, f"{_FACTS} {_OBJECTS}"),
        ),
    ),
    ENHANCED_SR: Relationships(
        "A.35.2.3.1.2",
        (
            ("CONTAINER", CONTAINS, f"{_ALL} CONTAINER"),
            ("CONTAINER", HAS_OBSERVATION_CONTEXT, f"{_MEASURED} COMPOSITE"),
            (f"CONTAINER NUM {_OBJECTS}", HAS_ACQUISITION_CONTEXT, _MEASURED),
            ("*", HAS_CONCEPT_MODIFIER, "TEXT CODE"),
            ("TEXT CODE NUM", HAS_PROPERTIES, _ALL),
            ("PNAME", HAS_PROPERTIES, _FACTS),
            ("TEXT CODE NUM", INFERRED_FROM, _ALL),
            ("SCOORD", SELECTED_FROM, "IMAGE"),
            ("TCOORD", SELECTED_FROM, "SCOORD IMAGE WAVEFORM"),
        ),
    ),
    COMPREHENSIVE_SR: Relationships(
        "A.35.3.3.1.2",
        (
            ("CONTAINER", CONTAINS, f"{_ALL} CONTAINER"),
            ("CONTAINER TEXT CODE NUM", HAS_OBSERVATION_CONTEXT, f"{_MEASURED} COMPOSITE"),
            ("CONTAINER", HAS_OBSERVATION_CONTEXT, "CONTAINER"),
            (f"CONTAINER NUM {_OBJECTS}", HAS_ACQUISITION_CONTEXT, f"{_MEASURED} CONTAINER"),
            ("*", HAS_CONCEPT_MODIFIER, "TEXT CODE"),
            ("TEXT CODE NUM", HAS_PROPERTIES, f"{_ALL} CONTAINER"),
            ("PNAME", HAS_PROPERTIES, _FACTS),
            ("TEXT CODE NUM", INFERRED_FROM, f"{_ALL} CONTAINER"),
            ("SCOORD", SELECTED_FROM, "IMAGE"),
            ("TCOORD", SELECTED_FROM, "SCOORD IMAGE WAVEFORM"),
        ),
    ),
    KEY_OBJECT_SELECTION: Relationships(
        "A.35.4.3.1.2",
        (
            ("CONTAINER", CONTAINS, f"TEXT {_OBJECTS}"),
            ("CONTAINER", HAS_OBSERVATION_CONTEXT, "TEXT CODE UIDREF PNAME"),
            ("CONTAINER", HAS_CONCEPT_MODIFIER, "CODE"),
        ),
    ),
    X_RAY_RADIATION_DOSE_SR: Relationships(
        "A.35.8.3.1.2",
        (
            ("CONTAINER", CONTAINS, f"{_DOSE_FACTS} IMAGE COMPOSITE CONTAINER"),
            ("CONTAINER TEXT CODE NUM", HAS_OBSERVATION_CONTEXT, f"{_DOSE_FACTS} COMPOSITE"),
            ("CONTAINER IMAGE COMPOSITE NUM", HAS_ACQUISITION_CONTEXT, f"{_DOSE_FACTS} CONTAINER"),
            ("*", HAS_CONCEPT_MODIFIER, "TEXT CODE"),
            ("TEXT CODE NUM", HAS_PROPERTIES, f"{_DOSE_FACTS} IMAGE COMPOSITE CONTAINER"),
            ("PNAME", HAS_PROPERTIES, "TEXT CODE DATETIME UIDREF PNAME"),
            ("TEXT CODE NUM", INFERRED_FROM, f"{_DOSE_FACTS} IMAGE COMPOSITE CONTAINER"),
        ),
    ),
    PROCEDURE_LOG: Relationships(
        "A.35.7.3.1.4",
        (
            ("CONTAINER", CONTAINS, _ENTRIES),
            ("*", HAS_OBSERVATION_CONTEXT, _LOG_FACTS),
            ("CONTAINER", HAS_OBSERVATION_CONTEXT, "CONTAINER"),
            (f"CONTAINER {_OBJECTS}", HAS_ACQUISITION_CONTEXT, _MEASURED),
            ("*", HAS_CONCEPT_MODIFIER, "TEXT CODE"),
            (f"{_MEASURED} {_OBJECTS}", HAS_PROPERTIES, _LOG_FACTS),
            ("TEXT CODE NUM", INFERRED_FROM, _OBJECTS),
        ),
    ),
}


def check(root: ContentItem, sop_class_uid: str) -> None:
    """Raises LocalError for a tree that the IOD does not allow, and for a SOP class without one."""
    table = _TABLES.get(sop_class_uid)
    if table is None:
        raise LocalError("No kind of report.", clause="PS3.3 A.35", value=sop_class_uid)
    if not isinstance(root, Container) or root.concept is None:
        raise LocalError(
            "The root of a report is a container with a title.", clause=f"PS3.3 {table.clause}"
        )
    for source, target in root.walk():
        if not allows(sop_class_uid, source.value_type, target.relationship, target.value_type):
            raise LocalError(
                f"{source.value_type} {target.relationship} {target.value_type} is not allowed in "
                "this kind of report.",
                clause=f"PS3.3 {table.clause}",
                value=(source.value_type, target.relationship, target.value_type),
            )
        # C.17.3.2: only a container may go without a name, and what is selected by coordinates.
        if target.concept is None and target.value_type not in MAY_GO_WITHOUT_NAME:
            raise LocalError(
                f"{target.value_type} needs a concept name.",
                clause="PS3.3 C.17.3.2",
                value=target,
            )


def allows(sop_class_uid: str, source: str, relationship: str, target: str) -> bool:
    """Whether an item of value type `target` may stand so below one of value type `source`."""
    return any(
        relationship == named
        and (sources == "*" or source in sources.split())
        and target in targets.split()
        for sources, named, targets in _TABLES[sop_class_uid].rows
    )
