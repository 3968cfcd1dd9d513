"""Substance Administration Logging (PS3.4 P.3): which reports are taken, and how we send one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agent.dataset.attributes import Attributes
from agent.dataset.attributes_encoding import with_character_set
from agent.dataset.date_time import moment_of
from agent.dataset.sop_classes import SUBSTANCE_ADMINISTRATION_LOGGING
from agent.network.association import Association, Response
from agent.network.commands import n_action_rq
from agent.network.negotiation import ContextNeed
from agent.services.data_sets import MESSAGE_SYNTAXES, context_for, encoded
from agent.services.event_logging_table import (
    ADMINISTRATION,
    OPERATOR_REFUSED,
    PATIENT_KEYWORDS,
    PATIENT_NOT_IDENTIFIED,
    complete,
    lacking,
)
from agent.services.storage_commitment import INVALID_ARGUMENT_VALUE

SUBSTANCE_ADMINISTRATION_LOGGING_INSTANCE = "1.2.840.10008.1.42.1"
RECORD_SUBSTANCE_ADMINISTRATION = 1


def refusal(administration: Attributes, operators: Sequence[str] = ()) -> Response | None:
    """Why an administration is not recorded, by Table P.3-2; None for one that is well.

    `operators` are the codes of those who may add to the record, each as `VALUE` or `VALUE^SCHEME`;
    none: everybody. One operator who may is enough (P.3).
    """
    absent = lacking(ADMINISTRATION, administration)
    if any(each in PATIENT_KEYWORDS for each in absent):
        return Response(PATIENT_NOT_IDENTIFIED, "Neither Patient ID nor Admission ID")
    if absent:
        return Response(INVALID_ARGUMENT_VALUE, f"No value: {', '.join(absent)}")
    if moment_of(administration.text("SubstanceAdministrationDateTime")) is None:
        return Response(INVALID_ARGUMENT_VALUE, "Substance Administration DateTime is no DT")
    if operators and not any(each in operators for each in _operators(administration)):
        return Response(OPERATOR_REFUSED, "None of the operators may add to the record")
    return None


def _operators(administration: Attributes) -> Iterator[str]:
    for operator in administration.items_of("OperatorIdentificationSequence"):
        for code in operator.items_of("PersonIdentificationCodeSequence"):
            for keyword in ("CodeValue", "LongCodeValue", "URNCodeValue"):
                if code.has(keyword):
                    yield code.text(keyword)
                    yield f"{code.text(keyword)}^{code.text('CodingSchemeDesignator')}"


def administration_need() -> ContextNeed:
    """What has to be negotiated."""
    return ContextNeed(SUBSTANCE_ADMINISTRATION_LOGGING, MESSAGE_SYNTAXES)


async def log_administration(association: Association, administration: Attributes) -> Response:
    """N-ACTION: ask the peer to record this (P.3.2.2); what is of type 2 and missing goes empty.

    Raises PeerError when no context was accepted or the association ends.
    """
    context = context_for(
        association, SUBSTANCE_ADMINISTRATION_LOGGING, "Substance Administration Logging"
    )
    information = with_character_set(administration)
    complete(ADMINISTRATION, information)
    command = n_action_rq(
        association.next_message_id(),
        SUBSTANCE_ADMINISTRATION_LOGGING,
        SUBSTANCE_ADMINISTRATION_LOGGING_INSTANCE,
        RECORD_SUBSTANCE_ADMINISTRATION,
    )
    return await association.request(context, command, encoded(information, context))
