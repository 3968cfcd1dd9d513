"""The information models of non-patient objects: one level, one entity, one instance each.

PS3.4 U (hanging protocols), X (colour palettes), BB (implant templates), HH (defined procedure
protocols), II (protocol approval) and JJ (inventories). Their keys are in `object_keys`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from agent.archive.information_model import InformationModel, Level
from agent.archive.selection import Selection, selection_of
from agent.dataset.attributes import Attributes

_INSTANCE = (Level("IMAGE", "SOPInstanceUID", ()),)
"""The level is never said: (0008,0052) shall not be present (U.4.2, and so in the others)."""

_ROOT = "1.2.840.10008.5.1.4"
_PROTOCOLS = f"{_ROOT}.1.1.200"
_INVENTORIES = f"{_ROOT}.1.1.201"


def _model(name: str, stored: tuple[str, ...], stem: str, first: int) -> InformationModel:
    """FIND, MOVE and GET are numbered in this order, in each of the annexes."""
    find, move, get = (f"{stem}.{first + each}" for each in range(3))
    return InformationModel(name, _INSTANCE, find, move, get, frozenset(stored))


HANGING_PROTOCOL = _model("Hanging Protocol", (f"{_ROOT}.38.1",), f"{_ROOT}.38", 2)
COLOR_PALETTE = _model("Color Palette", (f"{_ROOT}.39.1",), f"{_ROOT}.39", 2)
GENERIC_IMPLANT_TEMPLATE = _model("Generic Implant Template", (f"{_ROOT}.43.1",), f"{_ROOT}.43", 2)
IMPLANT_ASSEMBLY_TEMPLATE = _model(
    "Implant Assembly Template", (f"{_ROOT}.44.1",), f"{_ROOT}.44", 2
)
IMPLANT_TEMPLATE_GROUP = _model("Implant Template Group", (f"{_ROOT}.45.1",), f"{_ROOT}.45", 2)
DEFINED_PROCEDURE_PROTOCOL = _model(
    "Defined Procedure Protocol", (f"{_PROTOCOLS}.1", f"{_PROTOCOLS}.7"), f"{_ROOT}.20", 1
)
PROTOCOL_APPROVAL = _model("Protocol Approval", (f"{_PROTOCOLS}.3",), _PROTOCOLS, 4)
INVENTORY = _model("Inventory", (f"{_INVENTORIES}.1",), _INVENTORIES, 2)

OBJECT_MODEL_NAMES: Mapping[str, InformationModel] = MappingProxyType(
    {
        "hanging-protocol": HANGING_PROTOCOL,
        "color-palette": COLOR_PALETTE,
        "generic-implant-template": GENERIC_IMPLANT_TEMPLATE,
        "implant-assembly-template": IMPLANT_ASSEMBLY_TEMPLATE,
        "implant-template-group": IMPLANT_TEMPLATE_GROUP,
        "defined-procedure-protocol": DEFINED_PROCEDURE_PROTOCOL,
        "protocol-approval": PROTOCOL_APPROVAL,
        "inventory": INVENTORY,
    }
)
"""What a person calls each model."""

OBJECT_MODELS: Mapping[str, InformationModel] = MappingProxyType(
    {
        uid: model
        for model in OBJECT_MODEL_NAMES.values()
        for uid in (model.find, model.move, model.get)
    }
)
"""The model of a SOP class."""


def object_selection_of(model: InformationModel, identifier: Attributes) -> Selection:
    """What a C-MOVE or C-GET asks for: instances of the model's own classes, by UID alone.

    A Query/Retrieve Level is not relevant (U.4.2), so one that is there is passed over. Raises
    PeerError with A900H for what is no UID or none at all.
    """
    asked = Attributes(QueryRetrieveLevel="IMAGE")
    found = identifier.get("SOPInstanceUID")
    if found is not None:
        asked.put(0x0008_0018, found)
    selection = selection_of(model, asked)
    return Selection(selection.level, selection.keys, model.stored)
