"""Whether content is that of a Procedure Log: TID 3001 (PS3.16) and A.35.7.3.1 (PS3.3).

The template is extensible: an entry whose concept is not in the table may be of any value type that
the IOD allows.
"""

from __future__ import annotations

from collections.abc import Mapping

from agent.dataset.attributes import Attributes
from agent.dataset.date_time import moment_of
from agent.objects.content_tree import CONTAINS, HAS_OBSERVATION_CONTEXT, HAS_PROPERTIES
from agent.objects.observer_context import DEVICE_OBSERVER_UID, PERSON_OBSERVER_NAME
from agent.objects.relationships import MAY_GO_WITHOUT_NAME, PROCEDURE_LOG, allows

TEMPLATE = "3001"

_PROCEDURE_ACTION_ID = "121124"
_PROCEDURE_ACTIONS = frozenset(("121130", "121131", "121132", "121133"))

_ENTRIES: Mapping[str, str] = {
    # Row 6, CID 3401: notes of technician, nurse, physician, of the procedure.
    **dict.fromkeys(("121171", "121172", "121173", "121174"), "TEXT"),
    # Row 8: patient status or event.
    "121123": "CODE",
    # Row 10, CID 3404: staff actions.
    **dict.fromkeys(("122041", "122042", "122043", "122044", "122045"), "PNAME"),
    # Row 12, CID 3427: equipment events.
    **dict.fromkeys(("110501", "122047", "122048", "122049"), "TEXT"),
    # Row 14, TID 3100 with CID 3421: procedure actions.
    **dict.fromkeys(_PROCEDURE_ACTIONS, "CODE"),
}
"""Code values (DCM) of entries with the value type that their row asks for."""

_VALUES: Mapping[str, str] = {
    "TEXT": "TextValue",
    "CODE": "ConceptCodeSequence",
    "NUM": "MeasuredValueSequence",
    "DATETIME": "DateTime",
    "DATE": "Date",
    "TIME": "Time",
    "UIDREF": "UID",
    "PNAME": "PersonName",
    "COMPOSITE": "ReferencedSOPSequence",
    "IMAGE": "ReferencedSOPSequence",
    "WAVEFORM": "ReferencedSOPSequence",
    "CONTAINER": "ContinuityOfContent",
}
"""Value types of the IOD with the attribute that holds the value; of NUM it may be empty."""


def fault_of(content: Attributes) -> str:
    """What is wrong with the content, in a few words; "" for a Procedure Log (P.2.2.1.3)."""
    if content.text("ValueType") != "CONTAINER":
        return "Root is no CONTAINER"
    if not content.has("ContinuityOfContent"):
        return "Root has no Continuity Of Content"
    if not code_of(content, "ConceptNameCodeSequence"):
        return "Root has no title"
    template = content.item_of("ContentTemplateSequence")
    if template.text("MappingResource") == "DCMR" and template.text("TemplateIdentifier") not in (
        "",
        TEMPLATE,
    ):
        return f"Template is {template.text('TemplateIdentifier')}, not {TEMPLATE}"
    items = content.items_of("ContentSequence")
    found = _fault_below("CONTAINER", items)
    if found:
        return found
    entries = [each for each in items if each.text("RelationshipType") == CONTAINS]
    if not entries:
        return "No event"
    if not any(map(_names_observer, items)):
        return "No observer (TID 1002)"
    return next(filter(None, map(_fault_of_entry, entries)), "")


def code_of(item: Attributes, sequence: str) -> str:
    """The code value of a sequence of one code, "" where there is none."""
    code = item.item_of(sequence)
    for keyword in ("CodeValue", "LongCodeValue", "URNCodeValue"):
        if code.has(keyword):
            return code.text(keyword)
    return ""


def _fault_below(source: str, items: tuple[Attributes, ...]) -> str:
    for item in items:
        kind, relationship = item.text("ValueType"), item.text("RelationshipType")
        if "ReferencedContentItemIdentifier" in item:
            return "A relationship by reference"
        if not allows(PROCEDURE_LOG, source, relationship, kind):
            return f"{source} {relationship} {kind} is not allowed"
        if kind not in MAY_GO_WITHOUT_NAME and not code_of(item, "ConceptNameCodeSequence"):
            return f"A {kind} without a concept name"
        value = _VALUES[kind]
        if value not in item or (kind != "NUM" and not item.has(value)):
            return f"A {kind} without {value}"
        found = _fault_below(kind, item.items_of("ContentSequence"))
        if found:
            return found
    return ""


def _names_observer(item: Attributes) -> bool:
    return item.text("RelationshipType") == HAS_OBSERVATION_CONTEXT and (
        item.text("ValueType"),
        code_of(item, "ConceptNameCodeSequence"),
    ) in (("PNAME", PERSON_OBSERVER_NAME.value), ("UIDREF", DEVICE_OBSERVER_UID.value))


def _fault_of_entry(entry: Attributes) -> str:
    # A.35.7.3.1.2: of type 1 here.
    if moment_of(entry.text("ObservationDateTime")) is None:
        return "An event without Observation DateTime"
    concept = entry.item_of("ConceptNameCodeSequence")
    code, kind = code_of(entry, "ConceptNameCodeSequence"), entry.text("ValueType")
    if concept.text("CodingSchemeDesignator") != "DCM":
        return ""
    wanted = _ENTRIES.get(code, kind)
    if kind != wanted:
        return f"{code} is {kind}, not {wanted}"
    if code in _PROCEDURE_ACTIONS and not any(
        map(_is_action_id, entry.items_of("ContentSequence"))
    ):
        return f"{code} without Procedure Action ID"
    return ""


def _is_action_id(item: Attributes) -> bool:
    return (
        item.text("RelationshipType"),
        item.text("ValueType"),
        code_of(item, "ConceptNameCodeSequence"),
    ) == (HAS_PROPERTIES, "TEXT", _PROCEDURE_ACTION_ID)
