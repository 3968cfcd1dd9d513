"""The messages of PS3.7: what each must carry, and how to make a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from agent.errors import PeerError
from agent.network import command as c
from agent.network.command import Command

C_STORE_RQ = 0x0001
C_GET_RQ = 0x0010
C_FIND_RQ = 0x0020
C_MOVE_RQ = 0x0021
C_ECHO_RQ = 0x0030
N_EVENT_REPORT_RQ = 0x0100
N_GET_RQ = 0x0110
N_SET_RQ = 0x0120
N_ACTION_RQ = 0x0130
N_CREATE_RQ = 0x0140
N_DELETE_RQ = 0x0150
C_CANCEL_RQ = 0x0FFF
RESPONSE = 0x8000

MEDIUM, HIGH, LOW = 0, 1, 2  # Priority (0000,0700), PS3.7 9.3.1.1


class Message(NamedTuple):
    """A row of the tables of PS3.7 9.3 and 10.3.

    `data_set` says whether one must be there (None: it may).
    """

    name: str
    clause: str
    mandatory: tuple[int, ...]
    data_set: bool | None


_AFFECTED = (c.AFFECTED_SOP_CLASS_UID, c.MESSAGE_ID)
_REQUESTED = (c.REQUESTED_SOP_CLASS_UID, c.MESSAGE_ID, c.REQUESTED_SOP_INSTANCE_UID)
_RESPONDED = (c.MESSAGE_ID_BEING_RESPONDED_TO, c.STATUS)

MESSAGES: Mapping[int, Message] = {
    C_STORE_RQ: Message("C-STORE-RQ", "PS3.7 9.3.1.1", (*_AFFECTED, 0x1000), True),
    C_FIND_RQ: Message("C-FIND-RQ", "PS3.7 9.3.2.1", _AFFECTED, True),
    C_GET_RQ: Message("C-GET-RQ", "PS3.7 9.3.3.1", _AFFECTED, True),
    C_MOVE_RQ: Message("C-MOVE-RQ", "PS3.7 9.3.4.1", (*_AFFECTED, c.MOVE_DESTINATION), True),
    C_ECHO_RQ: Message("C-ECHO-RQ", "PS3.7 9.3.5.1", _AFFECTED, False),
    C_CANCEL_RQ: Message("C-CANCEL-RQ", "PS3.7 9.3.2.3", (0x0120,), False),
    N_EVENT_REPORT_RQ: Message(
        "N-EVENT-REPORT-RQ", "PS3.7 10.3.1.1", (*_AFFECTED, 0x1000, c.EVENT_TYPE_ID), None
    ),
    N_GET_RQ: Message("N-GET-RQ", "PS3.7 10.3.2.1", _REQUESTED, False),
    N_SET_RQ: Message("N-SET-RQ", "PS3.7 10.3.3.1", _REQUESTED, True),
    N_ACTION_RQ: Message("N-ACTION-RQ", "PS3.7 10.3.4.1", (*_REQUESTED, c.ACTION_TYPE_ID), None),
    N_CREATE_RQ: Message("N-CREATE-RQ", "PS3.7 10.3.5.1", _AFFECTED, None),
    N_DELETE_RQ: Message("N-DELETE-RQ", "PS3.7 10.3.6.1", _REQUESTED, False),
    C_STORE_RQ | RESPONSE: Message("C-STORE-RSP", "PS3.7 9.3.1.2", _RESPONDED, None),
    C_FIND_RQ | RESPONSE: Message("C-FIND-RSP", "PS3.7 9.3.2.2", _RESPONDED, None),
    C_GET_RQ | RESPONSE: Message("C-GET-RSP", "PS3.7 9.3.3.2", _RESPONDED, None),
    C_MOVE_RQ | RESPONSE: Message("C-MOVE-RSP", "PS3.7 9.3.4.2", _RESPONDED, None),
    C_ECHO_RQ | RESPONSE: Message("C-ECHO-RSP", "PS3.7 9.3.5.2", _RESPONDED, None),
    N_EVENT_REPORT_RQ | RESPONSE: Message("N-EVENT-REPORT-RSP", "PS3.7 10.3.1.2", _RESPONDED, None),
    N_GET_RQ | RESPONSE: Message("N-GET-RSP", "PS3.7 10.3.2.2", _RESPONDED, None),
    N_SET_RQ | RESPONSE: Message("N-SET-RSP", "PS3.7 10.3.3.2", _RESPONDED, None),
    N_ACTION_RQ | RESPONSE: Message("N-ACTION-RSP", "PS3.7 10.3.4.2", _RESPONDED, None),
    N_CREATE_RQ | RESPONSE: Message("N-CREATE-RSP", "PS3.7 10.3.5.2", _RESPONDED, None),
    N_DELETE_RQ | RESPONSE: Message("N-DELETE-RSP", "PS3.7 10.3.6.2", _RESPONDED, None),
}


def check(command: Command) -> Message:
    """The row of a command that came in. Raises PeerError when it lacks what it must have."""
    message = MESSAGES.get(command.field)
    if message is None:
        raise PeerError(
            f"there is no command with Command Field {command.field:04X}H",
            clause="PS3.7 E.1",
            value=command.field,
        )
    missing = [each for each in message.mandatory if each not in command.elements]
    if missing:
        numbers = ", ".join(f"(0000,{each:04X})" for each in missing)
        raise PeerError(f"the {message.name} lacks {numbers}", clause=message.clause)
    if message.data_set is not None and message.data_set != command.data_set_present:
        says = "a data set" if command.data_set_present else "no data set"
        raise PeerError(f"the {message.name} announces {says}", clause=message.clause)
    return message


def c_echo_rq(message_id: int, sop_class_uid: str) -> Command:
    return Command(C_ECHO_RQ, {c.AFFECTED_SOP_CLASS_UID: sop_class_uid, c.MESSAGE_ID: message_id})


def c_store_rq(
    message_id: int,
    sop_class_uid: str,
    sop_instance_uid: str,
    priority: int = MEDIUM,
    move_originator: str = "",
    move_originator_message_id: int = 0,
) -> Command:
    elements: dict[int, Any] = {
        c.AFFECTED_SOP_CLASS_UID: sop_class_uid,
        c.MESSAGE_ID: message_id,
        c.PRIORITY: priority,
        c.AFFECTED_SOP_INSTANCE_UID: sop_instance_uid,
    }
    if move_originator:
        elements[c.MOVE_ORIGINATOR_APPLICATION_ENTITY_TITLE] = move_originator
        elements[c.MOVE_ORIGINATOR_MESSAGE_ID] = move_originator_message_id
    return Command(C_STORE_RQ, elements)


def _query(field: int, message_id: int, sop_class_uid: str, priority: int) -> Command:
    return Command(
        field,
        {
            c.AFFECTED_SOP_CLASS_UID: sop_class_uid,
            c.MESSAGE_ID: message_id,
            c.PRIORITY: priority,
        },
    )


def c_find_rq(message_id: int, sop_class_uid: str, priority: int = MEDIUM) -> Command:
    return _query(C_FIND_RQ, message_id, sop_class_uid, priority)


def c_get_rq(message_id: int, sop_class_uid: str, priority: int = MEDIUM) -> Command:
    return _query(C_GET_RQ, message_id, sop_class_uid, priority)


def c_move_rq(
    message_id: int, sop_class_uid: str, destination: str, priority: int = MEDIUM
) -> Command:
    command = _query(C_MOVE_RQ, message_id, sop_class_uid, priority)
    command.elements[c.MOVE_DESTINATION] = destination
    return command


def c_cancel_rq(message_id: int) -> Command:
    """Cancel the C-FIND, C-GET or C-MOVE with this Message ID."""
    return Command(C_CANCEL_RQ, {c.MESSAGE_ID_BEING_RESPONDED_TO: message_id})


def n_event_report_rq(
    message_id: int, sop_class_uid: str, sop_instance_uid: str, event_type_id: int
) -> Command:
    return Command(
        N_EVENT_REPORT_RQ,
        {
            c.AFFECTED_SOP_CLASS_UID: sop_class_uid,
            c.MESSAGE_ID: message_id,
            c.AFFECTED_SOP_INSTANCE_UID: sop_instance_uid,
            c.EVENT_TYPE_ID: event_type_id,
        },
    )


def _on_instance(field: int, message_id: int, sop_class_uid: str, sop_instance_uid: str) -> Command:
    return Command(
        field,
        {
            c.REQUESTED_SOP_CLASS_UID: sop_class_uid,
            c.MESSAGE_ID: message_id,
            c.REQUESTED_SOP_INSTANCE_UID: sop_instance_uid,
        },
    )


def n_get_rq(
    message_id: int,
    sop_class_uid: str,
    sop_instance_uid: str,
    attribute_identifiers: tuple[int, ...] = (),
) -> Command:
    command = _on_instance(N_GET_RQ, message_id, sop_class_uid, sop_instance_uid)
    if attribute_identifiers:
        command.elements[c.ATTRIBUTE_IDENTIFIER_LIST] = attribute_identifiers
    return command


def n_set_rq(message_id: int, sop_class_uid: str, sop_instance_uid: str) -> Command:
    return _on_instance(N_SET_RQ, message_id, sop_class_uid, sop_instance_uid)


def n_action_rq(
    message_id: int, sop_class_uid: str, sop_instance_uid: str, action_type_id: int
) -> Command:
    command = _on_instance(N_ACTION_RQ, message_id, sop_class_uid, sop_instance_uid)
    command.elements[c.ACTION_TYPE_ID] = action_type_id
    return command


def n_create_rq(message_id: int, sop_class_uid: str, sop_instance_uid: str = "") -> Command:
    command = Command(
        N_CREATE_RQ, {c.AFFECTED_SOP_CLASS_UID: sop_class_uid, c.MESSAGE_ID: message_id}
    )
    if sop_instance_uid:
        command.elements[c.AFFECTED_SOP_INSTANCE_UID] = sop_instance_uid
    return command


def n_delete_rq(message_id: int, sop_class_uid: str, sop_instance_uid: str) -> Command:
    return _on_instance(N_DELETE_RQ, message_id, sop_class_uid, sop_instance_uid)
