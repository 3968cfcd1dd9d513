"""Changes of attributes by a route: what becomes of one object's values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from agent.configuration.route import Change
from agent.dataset import tags
from agent.dataset.character_set import decode_text, encode_text
from agent.dataset.value_representations import pad


def values_after(changes: Sequence[Change], values: Mapping[int, bytes]) -> dict[int, bytes | None]:
    """The raw values that `changes` give, None for what goes; only what really changes.

    `values` are the raw values as stored, Specific Character Set among them; new text is encoded in
    it. A mapped value that the table does not name stays, unless the change says otherwise.
    """
    charset = values.get(tags.SPECIFIC_CHARACTER_SET)
    after: dict[int, bytes | None] = {}
    for change in changes:
        tag = change.attribute
        vr = tags.known_value_representation(tag) or "LO"
        before = after.get(tag, values.get(tag))
        if change.action == "delete":
            if before is not None:
                after[tag] = None
            continue
        text: str | None
        if change.action == "set":
            text = change.set
        else:
            old = decode_text(before or b"", vr, charset).strip()
            text = (change.map or {}).get(old, change.otherwise)
        if text is None:
            continue
        encoded = pad(vr, encode_text(text, vr, charset))
        if encoded != before:
            after[tag] = encoded
    return after


def encode_changes(changes: Sequence[Change], deidentify: str = "") -> bytes:
    """Changes, and how the copy is de-identified, as a job keeps them; empty for none."""
    if not changes and not deidentify:
        return b""
    rows = [
        {
            "attribute": each.attribute,
            "set": each.set,
            "map": dict(each.map) if each.map is not None else None,
            "otherwise": each.otherwise,
            "delete": each.delete,
        }
        for each in changes
    ]
    if deidentify:
        return json.dumps({"deidentify": deidentify, "changes": rows}).encode()
    return json.dumps(rows).encode()


def decode_changes(payload: bytes) -> tuple[Change, ...]:
    """The changes of `encode_changes`."""
    kept = json.loads(payload) if payload else ()
    rows = kept["changes"] if isinstance(kept, dict) else kept
    return tuple(Change(**row) for row in rows)


def deidentified_by(payload: bytes) -> str:
    """How `encode_changes` was told to have the copy de-identified; empty for not at all."""
    kept = json.loads(payload) if payload.startswith(b"{") else {}
    name: str = kept.get("deidentify", "")
    return name
