"""Command sets: group 0000 in Implicit VR Little Endian (PS3.7 6.3, 9.3, 10.3, E.1)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from agent.errors import PeerError

GROUP_LENGTH = 0x0000
AFFECTED_SOP_CLASS_UID = 0x0002
REQUESTED_SOP_CLASS_UID = 0x0003
COMMAND_FIELD = 0x0100
MESSAGE_ID = 0x0110
MESSAGE_ID_BEING_RESPONDED_TO = 0x0120
MOVE_DESTINATION = 0x0600
PRIORITY = 0x0700
COMMAND_DATA_SET_TYPE = 0x0800
STATUS = 0x0900
OFFENDING_ELEMENT = 0x0901
ERROR_COMMENT = 0x0902
ERROR_ID = 0x0903
AFFECTED_SOP_INSTANCE_UID = 0x1000
REQUESTED_SOP_INSTANCE_UID = 0x1001
EVENT_TYPE_ID = 0x1002
ATTRIBUTE_IDENTIFIER_LIST = 0x1005
ACTION_TYPE_ID = 0x1008
NUMBER_OF_REMAINING_SUBOPERATIONS = 0x1020
NUMBER_OF_COMPLETED_SUBOPERATIONS = 0x1021
NUMBER_OF_FAILED_SUBOPERATIONS = 0x1022
NUMBER_OF_WARNING_SUBOPERATIONS = 0x1023
MOVE_ORIGINATOR_APPLICATION_ENTITY_TITLE = 0x1030
MOVE_ORIGINATOR_MESSAGE_ID = 0x1031

# PS3.7 E.1: the element number of group 0000 and its value representation.
VALUE_REPRESENTATIONS: Mapping[int, str] = {
    GROUP_LENGTH: "UL",
    AFFECTED_SOP_CLASS_UID: "UI",
    REQUESTED_SOP_CLASS_UID: "UI",
    COMMAND_FIELD: "US",
    MESSAGE_ID: "US",
    MESSAGE_ID_BEING_RESPONDED_TO: "US",
    MOVE_DESTINATION: "AE",
    PRIORITY: "US",
    COMMAND_DATA_SET_TYPE: "US",
    STATUS: "US",
    OFFENDING_ELEMENT: "AT",
    ERROR_COMMENT: "LO",
    ERROR_ID: "US",
    AFFECTED_SOP_INSTANCE_UID: "UI",
    REQUESTED_SOP_INSTANCE_UID: "UI",
    EVENT_TYPE_ID: "US",
    ATTRIBUTE_IDENTIFIER_LIST: "AT",
    ACTION_TYPE_ID: "US",
    NUMBER_OF_REMAINING_SUBOPERATIONS: "US",
    NUMBER_OF_COMPLETED_SUBOPERATIONS: "US",
    NUMBER_OF_FAILED_SUBOPERATIONS: "US",
    NUMBER_OF_WARNING_SUBOPERATIONS: "US",
    MOVE_ORIGINATOR_APPLICATION_ENTITY_TITLE: "AE",
    MOVE_ORIGINATOR_MESSAGE_ID: "US",
}

_RESPONSE = 0x8000
NO_DATA_SET = 0x0101
DATA_SET = 0x0001  # anything but 0101H says that there is one (PS3.7 9.3.1)

_HEADER = struct.Struct("<HHI")
_SHORT = struct.Struct("<H")
_SHORT_ELEMENT = struct.Struct("<HHIH")


class Command:
    """One command set; `elements` maps the element number of group 0000 to its value.

    US values are int, AT values tuples of tags (group << 16 | element), the others str. What a
    response that came has of other groups is there by its tag, as bytes.
    """

    __slots__ = ("elements", "field")

    def __init__(self, field: int, elements: dict[int, Any] | None = None) -> None:
        self.field = field
        self.elements: dict[int, Any] = elements if elements is not None else {}

    def __repr__(self) -> str:
        return f"Command({self.field:04X}H, {self.elements})"

    def encode(self, *, data_set: bool | None = None) -> bytes:
        """The command set with its group length; `data_set` sets Command Data Set Type."""
        elements = self.elements
        elements[COMMAND_FIELD] = self.field
        if data_set is not None or COMMAND_DATA_SET_TYPE not in elements:
            elements[COMMAND_DATA_SET_TYPE] = DATA_SET if data_set else NO_DATA_SET
        body = bytearray()
        for number in sorted(elements):
            value = elements[number]
            kind = VALUE_REPRESENTATIONS[number]
            if kind == "US":
                body += _SHORT_ELEMENT.pack(0, number, 2, value)
                continue
            if kind == "UI":
                data = value.encode("ascii")
                if len(data) & 1:
                    data += b"\0"
            elif kind == "AT":
                data = b"".join(_SHORT_PAIR.pack(tag >> 16, tag & 0xFFFF) for tag in value)
            elif kind == "LO":
                data = _comment(value)
            else:
                data = value.encode("ascii", "replace")[:16]
                if len(data) & 1:
                    data += b" "
            body += _HEADER.pack(0, number, len(data)) + data
        return _GROUP_LENGTH.pack(0, GROUP_LENGTH, 4, len(body)) + body

    @classmethod
    def decode(cls, data: bytes | bytearray) -> Command:
        """Raises PeerError when it is no command set. Unknown and retired elements are skipped."""
        elements: dict[int, Any] = {}
        position, end = 0, len(data)
        while position < end:
            if end - position < 8:
                raise _broken("it ends in the middle of an element", position)
            group, number, length = _HEADER.unpack_from(data, position)
            position += 8
            if length > end - position:
                raise _broken(f"element ({group:04X},{number:04X}) is longer than it", length)
            if group != 0:
                if not elements.get(COMMAND_FIELD, 0) & _RESPONSE:
                    raise _broken(f"it has an element of group {group:04X}H", group)
                # Some libraries put the identifier of a failed C-GET there, where no data set is.
                elements[group << 16 | number] = bytes(data[position : position + length])
                position += length
                continue
            kind = VALUE_REPRESENTATIONS.get(number)
            if kind == "US":
                if length != 2:
                    raise _broken(f"element (0000,{number:04X}) is not two bytes long", length)
                elements[number] = _SHORT.unpack_from(data, position)[0]
            elif kind == "AT":
                elements[number] = tuple(
                    high << 16 | low
                    for high, low in _SHORT_PAIR.iter_unpack(
                        data[position : position + length // 4 * 4]
                    )
                )
            elif kind is not None and number != GROUP_LENGTH:
                text = data[position : position + length].decode("iso-8859-1")
                elements[number] = text.rstrip("\0 ") if kind == "UI" else text.strip("\0 ")
            position += length
        field = elements.get(COMMAND_FIELD)
        if field is None:
            raise _broken("it has no Command Field (0000,0100)", None)
        return cls(field, elements)

    @property
    def message_id(self) -> int:
        value: int = self.elements.get(MESSAGE_ID, 0)
        return value

    @property
    def message_id_responded(self) -> int:
        value: int = self.elements.get(MESSAGE_ID_BEING_RESPONDED_TO, 0)
        return value

    @property
    def affected_sop_class_uid(self) -> str:
        return str(self.elements.get(AFFECTED_SOP_CLASS_UID, ""))

    @property
    def affected_sop_instance_uid(self) -> str:
        return str(self.elements.get(AFFECTED_SOP_INSTANCE_UID, ""))

    @property
    def requested_sop_class_uid(self) -> str:
        return str(self.elements.get(REQUESTED_SOP_CLASS_UID, ""))

    @property
    def requested_sop_instance_uid(self) -> str:
        return str(self.elements.get(REQUESTED_SOP_INSTANCE_UID, ""))

    @property
    def priority(self) -> int:
        value: int = self.elements.get(PRIORITY, 0)
        return value

    @property
    def status(self) -> int:
        value: int = self.elements.get(STATUS, 0)
        return value

    @property
    def error_comment(self) -> str:
        return str(self.elements.get(ERROR_COMMENT, ""))

    @property
    def move_destination(self) -> str:
        return str(self.elements.get(MOVE_DESTINATION, ""))

    @property
    def move_originator(self) -> str:
        return str(self.elements.get(MOVE_ORIGINATOR_APPLICATION_ENTITY_TITLE, ""))

    @property
    def move_originator_message_id(self) -> int:
        value: int = self.elements.get(MOVE_ORIGINATOR_MESSAGE_ID, 0)
        return value

    @property
    def data_set_present(self) -> bool:
        return bool(self.elements.get(COMMAND_DATA_SET_TYPE, NO_DATA_SET) != NO_DATA_SET)


_SHORT_PAIR = struct.Struct("<HH")
_GROUP_LENGTH = struct.Struct("<HHII")


def _comment(text: str) -> bytes:
    # LO is at most 64 characters of the default repertoire, no backslash (PS3.5 6.2).
    data = text.replace("\\", "/").encode("ascii", "replace")[:64]
    return data + b" " if len(data) & 1 else data


def _broken(why: str, value: object) -> PeerError:
    return PeerError(f"the command set cannot be read: {why}", clause="PS3.7 6.3", value=value)
