"""Text from which everything is taken that is not known to be harmless (PS3.15 E.3.5, note 2), and
the search for what identifies a patient in text that stays.

Of a description those words are kept that stand in `safe_words`, numbers with a unit, and the names
of vertebrae and sequences: "CT chest abdomen pelvis - 55F Dr. Smith" becomes "CT chest abdomen
pelvis".
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from agent.security.safe_words import SAFE_WORDS, UNITS

_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")
_WITH_UNIT = re.compile(r"(\d+(?:[.,]\d+)?)([^\W\d_]+)")
_LEVEL = re.compile(r"[CTLS]\d{1,2}|T[12]W?|B\d{1,4}", re.IGNORECASE)
_TOKEN = re.compile(r"\d+(?:[.,]\d+)?[^\W\d_]*|[^\W_]+")

SHORTEST_NAME, SHORTEST_IDEOGRAPHIC, SHORTEST_IDENTIFIER = 3, 2, 4
"""Characters below which a part of a name, or an identifier, says too little to be looked for."""


def cleaned(text: str) -> str:
    """What of a text is known to be harmless, in its order; empty where there is nothing."""
    values = [_cleaned(each) for each in text.split("\\")]
    return "\\".join(values) if any(values) else ""


def _cleaned(text: str) -> str:
    kept: list[str] = []
    tokens = _TOKEN.findall(text)
    for number, token in enumerate(tokens):
        following = tokens[number + 1].casefold() if number + 1 < len(tokens) else ""
        if _is_safe(token, following) or (
            token.casefold() in UNITS and kept and _NUMBER.fullmatch(kept[-1])
        ):
            kept.append(token)
    return " ".join(kept)


def _is_safe(token: str, following: str) -> bool:
    if _NUMBER.fullmatch(token):
        return following in UNITS
    measured = _WITH_UNIT.fullmatch(token)
    if measured:
        return measured[2].casefold() in UNITS
    return token.casefold() in SAFE_WORDS or bool(_LEVEL.fullmatch(token))


def _is_ideographic(text: str) -> bool:
    """Of a script that needs no spaces between words: Chinese, Japanese, Korean."""
    return any(each > "\u2e7f" for each in text)


class KnownIdentifiers:
    """What is known to identify a patient: found again wherever text quotes it."""

    def __init__(self, names: Iterable[str], identifiers: Iterable[str]) -> None:
        """`names` as PN values; `identifiers` are numbers and dates."""
        words = {
            part.casefold()
            for name in names
            for part in re.split(r"[\\^=\s,.]+", name)
            if len(part) >= (SHORTEST_IDEOGRAPHIC if _is_ideographic(part) else SHORTEST_NAME)
        }
        whole = {
            each.strip().casefold()
            for value in identifiers
            for each in value.split("\\")
            if len(each.strip()) >= SHORTEST_IDENTIFIER
        }
        patterns = [
            re.escape(each) if _is_ideographic(each) else rf"(?<!\w){re.escape(each)}(?!\w)"
            for each in sorted(words - SAFE_WORDS)
        ]
        patterns += [re.escape(each) for each in sorted(whole - SAFE_WORDS)]
        self._pattern = re.compile("|".join(patterns)) if patterns else None

    def are_in(self, text: str) -> bool:
        """Whether the text quotes one of them, in whatever case."""
        return self._pattern is not None and self._pattern.search(text.casefold()) is not None
