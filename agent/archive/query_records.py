"""What the node and a worker tell each other of a query; light, for the node imports it."""

from __future__ import annotations

from dataclasses import dataclass

from agent.archive.matching_rules import MatchingRules

UNABLE_TO_PROCESS = 0xC000
IDENTIFIER_DOES_NOT_MATCH_SOP_CLASS = 0xA900
OUT_OF_RESOURCES = 0xA700
"""Statuses of a C-FIND that failed (PS3.4 Table C.4-1)."""

Place = tuple[int, ...]
"""How far a query came: rows of the index from the first table that was walked to the last."""


@dataclass(frozen=True, slots=True)
class Question:
    """A C-FIND of Query/Retrieve as it came in, with what was negotiated.

    `identifier` is the data set, in `transfer_syntax_uid`; responses go out in the same.
    `relational` takes away the rules of hierarchical queries (PS3.4 C.4.1.3.2.1). With `ordered`
    responses come in the order of their Record Keys, which `record_keys` adds to them (C.6.4.5.1);
    `file_access` is the URI of the folder of files, where there is one (C.6.4.1.3).
    """

    sop_class_uid: str
    identifier: bytes
    transfer_syntax_uid: str
    retrieve_title: str
    rules: MatchingRules
    relational: bool = False
    ordered: bool = False
    record_keys: bool = False
    file_access: str = ""


@dataclass(frozen=True, slots=True)
class QueryPage:
    """Some matches as encoded identifiers, and the place to go on from; None at the end.

    `complete` is false where optional keys of the identifier are not supported (FF01H).
    """

    matches: tuple[bytes, ...]
    next: Place | None
    complete: bool = True
