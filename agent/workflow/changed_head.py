"""The head of a stored data set as it goes out, where something of it is changed on the way."""

from __future__ import annotations

from agent.dataset import tags
from agent.dataset.byte_source import ByteSource
from agent.dataset.head import scan_head
from agent.dataset.transfer_syntaxes import TransferSyntax
from agent.dataset.writer import rewrite_head

_ORIGINAL_SPECIALIZED_SOP_CLASS_UID = 0x0008_001B


def changed_values(
    stored: ByteSource, syntax: TransferSyntax, changes: bytes, general_class_uid: str
) -> dict[int, bytes | None]:
    """The raw values that differ in what goes out: those that a route changes, and the class where
    it goes out as a related general one (PS3.4 B.4.2.1). None for what goes."""
    if not changes and not general_class_uid:
        return {}
    # With it comes the configuration, which a worker seldom needs.
    from agent.workflow.changes import decode_changes, values_after

    changed = decode_changes(changes)
    wanted = frozenset(
        (
            tags.SPECIFIC_CHARACTER_SET,
            tags.SOP_CLASS_UID,
            *(each.attribute for each in changed),
        )
    )
    head = scan_head(stored, syntax, wanted)
    values = values_after(changed, head.values)
    if general_class_uid:
        values[tags.SOP_CLASS_UID] = _uid(general_class_uid)
        values[_ORIGINAL_SPECIALIZED_SOP_CLASS_UID] = head.values.get(tags.SOP_CLASS_UID)
    return values


def rewritten(
    stored: ByteSource, syntax: TransferSyntax, values: dict[int, bytes | None]
) -> tuple[bytes, int]:
    """The head with these values, and where in `stored` it goes on."""
    return rewrite_head(
        stored,
        syntax,
        values,
        value_representations={_ORIGINAL_SPECIALIZED_SOP_CLASS_UID: "UI"},
    )


def _uid(uid: str) -> bytes:
    data = uid.encode("ascii")
    return data + b"\0" if len(data) % 2 else data
