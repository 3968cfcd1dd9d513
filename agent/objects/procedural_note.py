"""The content of an event that a person writes: a note of TID 3001 (PS3.16)."""

from __future__ import annotations

from collections.abc import Mapping

from agent.dataset.attributes import Attribute, Attributes
from agent.errors import LocalError
from agent.objects.content_tree import Container, Text
from agent.objects.element import Item
from agent.objects.observer_context import person_observer
from agent.objects.procedure_log_template import TEMPLATE
from agent.objects.references import Code

PROCEDURE_LOG_TITLE = Code("121120", "DCM", "Cath Lab Procedure Log")
"""CID 3400."""

NOTES: Mapping[str, Code] = {
    "technician": Code("121171", "DCM", "Tech Note"),
    "nurse": Code("121172", "DCM", "Nursing Note"),
    "physician": Code("121173", "DCM", "Physician Note"),
    "procedure": Code("121174", "DCM", "Procedure Note"),
}
"""CID 3401, by who writes."""


def noted(kind: str, text: str, observed: str, observer: str) -> Attributes:
    """One note, `observed` at a DT, by a person (PN), as content for an N-ACTION (P.2.2.1.3).

    `kind` is a key of `NOTES`. Raises LocalError for another, and without an observer.
    """
    if kind not in NOTES:
        raise LocalError(f"There is no note of {kind!r}.", value=kind, limit=list(NOTES))
    if not observer:
        raise LocalError("A log has an observer.", clause="PS3.16 TID 1002")
    root = Container(
        concept=PROCEDURE_LOG_TITLE,
        template=TEMPLATE,
        children=(*person_observer(observer), Text(concept=NOTES[kind], text=text)),
    )
    made = attributes_of(root.elements(root=True))
    made.items_of("ContentSequence")[-1].set("ObservationDateTime", observed)
    return made


def attributes_of(item: Item) -> Attributes:
    """The elements of an item as attributes of a message."""
    made = Attributes()
    for tag, (vr, value) in item.items():
        if vr == "SQ" and isinstance(value, tuple):
            made.put(tag, Attribute(vr, tuple(map(attributes_of, value))))
        else:
            made.set(tag, str(value), vr=vr)
    return made
