"""What a C-STORE may be answered, by the service class of its SOP class (PS3.4 B.2.3, GG.4.2)."""

from __future__ import annotations

from dataclasses import replace

from agent.dataset.sop_classes import NON_PATIENT
from agent.errors import GantryError, StatusReaction
from agent.network.status import (
    CANNOT_UNDERSTAND,
    DATA_SET_DOES_NOT_MATCH_SOP_CLASS,
    OUT_OF_RESOURCES,
    SUCCESS,
    Category,
    category,
)


def status_of_annex_gg(status: int) -> int:
    """The value of Table GG.4-1 for a status that Annex B would answer."""
    if category(status) in (Category.SUCCESS, Category.WARNING):
        return SUCCESS
    if status & 0xFF00 == DATA_SET_DOES_NOT_MATCH_SOP_CLASS:
        return DATA_SET_DOES_NOT_MATCH_SOP_CLASS
    if status & 0xF000 == CANNOT_UNDERSTAND:
        return CANNOT_UNDERSTAND
    return OUT_OF_RESOURCES


def status_for(sop_class: str, status: int) -> int:
    """`status` as it may be answered for an object of this SOP class."""
    return status_of_annex_gg(status) if sop_class in NON_PATIENT else status


def restrict(error: GantryError, sop_class: str) -> None:
    """Make the status with which `error` is answered one that may be answered."""
    if isinstance(error.reaction, StatusReaction):
        status = status_for(sop_class, error.reaction.status)
        error.reaction = replace(error.reaction, status=status)
