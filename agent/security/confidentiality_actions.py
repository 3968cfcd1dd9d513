"""What becomes of an attribute under the Basic Application Level Confidentiality Profile and the
options that are chosen (PS3.15 E.1.1).

Table E.1-1 first. Where it leaves the choice to the IOD (X/Z, X/D, Z/D ...), the last of its codes
is taken: the attribute is there, and who cannot know that it may go must not break the IOD. What
the table does not have is judged by a table of our own and by its VR, as notes 1 and 4 of E.1.1
advise: dates like those of the table, UIDs that name instances replaced, what no dictionary knows
removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum

from agent.dataset import tags
from agent.errors import ConfigurationError
from agent.security.confidentiality_table import LETTERS, Option, Row, row_of


class Action(Enum):
    """What is done with an attribute."""

    REMOVE = "X"
    EMPTY = "Z"
    DUMMY = "D"
    KEEP = "K"
    CLEAN = "C"
    REPLACE_UID = "U"


_ACTIONS: Mapping[str, Action] = {
    **{each.value: each for each in Action},
    "X/Z": Action.EMPTY,
    "X/D": Action.DUMMY,
    "Z/D": Action.DUMMY,
    "X/Z/D": Action.DUMMY,
    "X/Z/U*": Action.REPLACE_UID,
}
"""The codes of the table."""

_TEMPORAL = frozenset(("DA", "TM", "DT"))
_DATES = (Option.RETAIN_FULL_DATES, Option.RETAIN_MODIFIED_DATES)

_OURS = """
00080407 X
00080408 X
00080409 X
00081190 X
00100033 X
00100034 X
00140104 X
00142006 X
00181003 X DK
00181010 X DK
00181011 X DK
00181803 X DK
00240044 X TC
00281351 X TC
00286022 D TC
00400400 X TC
00400556 X TC
00401006 X
00401007 X
00402006 X
00402007 X
00404073 X
0040A067 X
0040A160 D SC
0040E001 D
0040E010 D
00420010 Z TC
00440003 X TC
00440011 X TC
00440012 X DK
00620020 D TC
00686280 X TC
00700006 D GC
00700081 Z TC
0074100A X
00741238 X TC
00880130 X
01000424 X TC
30020003 X TC
30020004 X TC
30020020 Z DK
30040006 X TC
30080066 D TC
30080202 X TC
300A0730 X TC
40080103 X
4FFE0001 X
"""
"""Attributes that can identify and are not in Table E.1-1: URLs, names, comments, numbers of
orders, devices and media, MAC parameters that have lost their signature. Read as that table is."""

_STRUCTURAL = frozenset(
    (
        0x0008_0016,
        0x0008_001A,
        0x0008_001B,
        0x0008_0062,
        0x0008_010C,
        0x0008_010D,
        0x0008_0117,
        0x0008_0118,
        0x0008_040E,
        0x0008_1150,
        0x0008_115A,
        0x0008_3002,
        0x0008_9123,
        0x0034_0003,
        0x0400_0010,
        0x0400_0510,
        0x3010_001F,
        0x3010_0052,
        0x3010_0053,
    )
)
"""UIDs that name classes, syntaxes, coding schemes and versions, not instances (E.3.9 note 4)."""

_STANDARD_URLS = frozenset((0x0008_010E, 0x0008_0120))
"""Coding Scheme URL, URN Code Value."""


def options_of(names: Iterable[str]) -> frozenset[Option]:
    """The options by name. Raises ConfigurationError for one that E.3 does not have, and for two
    that contradict each other."""
    known = {each.value: each for each in Option}
    wanted = tuple(names)
    unknown = [each for each in wanted if each not in known]
    if unknown:
        raise ConfigurationError(
            f"{unknown[0]} is no option of the confidentiality profile",
            clause="PS3.15 E.3",
            value=unknown[0],
            limit=tuple(known),
            way_out=f"Use some of: {', '.join(known)}.",
        )
    found = frozenset(known[each] for each in wanted)
    if found.issuperset(_DATES):
        raise ConfigurationError(
            "dates are kept either as they are, or modified",
            clause="PS3.15 E.3.6",
            way_out="Leave out retain-full-dates or retain-modified-dates.",
        )
    return found


class ConfidentialityProfile:
    """The profile with some of its options."""

    def __init__(self, options: Iterable[Option] = ()) -> None:
        self.options = frozenset(options)
        self._known: dict[tuple[int, str], Action] = {}

    def __contains__(self, option: Option) -> bool:
        return option in self.options

    def action(self, tag: int, vr: str) -> Action:
        """What becomes of an attribute of the standard; `vr` is "UN" where nobody knows it."""
        found = self._known.get((tag, vr))
        if found is None:
            row = row_of(tag) or _ours().get(tag)
            found = self._of_row(row, vr) if row is not None else self._of_vr(tag, vr)
            if len(self._known) < 8192:
                self._known[tag, vr] = found
        return found

    def without_options(self, tag: int) -> Action:
        """What the profile does with an attribute of a table where no option is chosen."""
        row = row_of(tag) or _ours().get(tag)
        return Action.KEEP if row is None else _ACTIONS[row.action]

    def _of_row(self, row: Row, vr: str) -> Action:
        chosen = {option: code for option, code in row.options.items() if option in self.options}
        for option in _DATES:
            # Of times that shall be modified, none stays because it is a device's.
            if option in chosen:
                return _ACTIONS[chosen[option]]
        if "K" in chosen.values():
            return Action.KEEP
        return Action.CLEAN if chosen else _ACTIONS[row.action]

    def _of_vr(self, tag: int, vr: str) -> Action:
        if tag >> 16 < 8 or vr == "UN":
            # Of messages and file meta information nothing belongs into a data set.
            return Action.REMOVE
        if vr == "PN":
            return Action.DUMMY
        if vr in _TEMPORAL:
            if Option.RETAIN_FULL_DATES in self.options:
                return Action.KEEP
            return Action.CLEAN if Option.RETAIN_MODIFIED_DATES in self.options else Action.DUMMY
        if vr == "UI" and tag not in _STRUCTURAL:
            return Action.KEEP if Option.RETAIN_UIDS in self.options else Action.REPLACE_UID
        if vr == "UR" and tag not in _STANDARD_URLS:
            return Action.DUMMY
        return Action.KEEP if tags.keyword_of(tag) else Action.REMOVE


_our_rows: dict[int, Row] = {}


def _ours() -> Mapping[int, Row]:
    if not _our_rows:
        for line in _OURS.split("\n"):
            if line:
                tag, action, *options = line.split(" ")
                _our_rows[int(tag, 16)] = Row(
                    action, {LETTERS[each[0]]: each[1:] for each in options}
                )
    return _our_rows
