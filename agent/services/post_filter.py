"""Responses matched again by the SCU, for peers that pass over keys (PS3.4 C.4.1.2.1).

Only what is certain is dropped: a value that is there, that could have been told as it was asked
for, and that does not match. A name may differ in case, accents and spelling of its characters
(C.2.2.2.1.1 note 2), and where fuzzy matching was negotiated names are not looked at; nor are
times, where the peer may have moved them to another timezone.
"""

from __future__ import annotations

import unicodedata
from enum import Enum

from agent.archive.matching import NEVER_KEYS, Condition, Matching, is_universal, values_of
from agent.dataset import tags
from agent.dataset.attributes import Attribute, Attributes
from agent.dataset.character_set import encode_text
from agent.errors import LocalError
from agent.services.query import Options, rules_for

_TIMES = frozenset(("DA", "DT", "TM"))


class Verdict(Enum):
    """What a response is to its request."""

    MATCHES = "matches"
    DIFFERS = "differs"
    UNCERTAIN = "uncertain"
    """It does not match as it stands, yet its character set could not say it otherwise."""


class PostFilter:
    """The keys of a request, to be asked about its responses."""

    def __init__(self, identifier: Attributes, options: Options) -> None:
        looked_at = Attributes()
        for tag in identifier:
            key = identifier[tag]
            if tag in NEVER_KEYS or (key.vr != "SQ" and is_universal(key)):
                continue
            if (key.vr == "PN" and options.fuzzy) or (key.vr in _TIMES and options.timezone):
                continue
            looked_at.put(tag, _plain(key))
        self._conditions = Matching(looked_at, rules_for(options, None)).conditions
        self._identifier = identifier

    def verdict(self, response: Attributes) -> Verdict:
        """What a response is; one that lacks a key's value is not dropped for that."""
        for condition in self._conditions:
            if self._holds(condition, response):
                continue
            if all(self._could_be_said(tag, response) for tag in condition.tags):
                return Verdict.DIFFERS
            return Verdict.UNCERTAIN
        return Verdict.MATCHES

    def _holds(self, condition: Condition, response: Attributes) -> bool:
        held = []
        for tag in condition.tags:
            attribute = response.get(tag)
            if attribute is None:
                return True
            values = values_of(tag, response)
            if attribute.vr == "PN":
                values = [_bare(str(each)) for each in values]
            held.append(values)
        return condition.holds(*held)

    def _could_be_said(self, tag: int, response: Attributes) -> bool:
        """Whether the character set of the response has every character of the key."""
        key = self._identifier[tag]
        if key.vr == "SQ":
            return True
        terms = "\\".join(response.texts(tags.SPECIFIC_CHARACTER_SET))
        try:
            for value in key.values:
                encode_text(str(value), key.vr, terms)
        except LocalError:
            return False
        return "\ufffd" not in "".join(response.texts(tag))


def _plain(key: Attribute) -> Attribute:
    if key.vr != "PN":
        return key
    return Attribute("PN", tuple(_bare(str(each)) for each in key.values))


def _bare(name: str) -> str:
    """Without accents and widths; case the engine does not look at in names."""
    if name.isascii():
        return name
    plain = unicodedata.normalize("NFKD", name)
    return "".join(each for each in plain if not unicodedata.combining(each))
