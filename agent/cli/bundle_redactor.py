"""What a support bundle lets through: what is known to be safe, by the name of its field.

Whatever has no row here is taken out. No value is let through for what it looks like alone: a
patient's number looks like any other. UIDs become words that are the same within one bundle and
mean nothing outside of it: they are hashed under a key that nobody keeps.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from agent.cli.bundle_sentences import Sentences
from agent.network.status import status_text

REMOVED = "(removed)"

_NUMBER, _NAME, _WORD, _UID, _SENTENCE, _ADDRESS, _STATUS, _HEXADECIMAL = range(8)

_ROWS: tuple[tuple[int, str], ...] = (
    # What counts or measures: nothing of it is read from an object or given by a person.
    (
        _NUMBER,
        """
        again associations attempts ballast bytes claimed completed connections contexts
        copies count days delivered done drain dropped events examination expected export
        failed failures faults fetch frames free held instances job jobs largest
        last_failure last_success length limit longest_turn lost message_id most moved new
        now number objects oldest over_budget p50 p999 part patients paused peers polls
        port quota received recovered released_jobs remaining remarks seconds sent series
        set set_aside since size studies turns_over_budget up_seconds used volumes wait
        waiting warning
        """,
    ),
    # What the configuration calls things: let through if it does.
    (
        _NAME,
        """
        archive called calling destination device entity key kind media medium name peer profile
        queue repository rule to
        """,
    ),
    # What the program chooses among.
    (
        _WORD,
        """
        act after bus by direction event how kind level log mood operation outcome profile role
        stage state status task verdict was which work
        """,
    ),
    (_UID, "object sop_instance_uid step study study_instance_uid uid"),
    (
        _SENTENCE,
        """
        error failed fault last_reason problem reason remarks task text trouble waits way_out
        why why_not
        """,
    ),
    (_ADDRESS, "address"),
    (_STATUS, "status last_status"),
    (_HEXADECIMAL, "association"),
)
FIELDS: dict[str, tuple[int, ...]] = {}
"""The forms that a field of this name may have."""
for _shape, _names in _ROWS:
    for _field in _names.split():
        FIELDS[_field] = (*FIELDS.get(_field, ()), _shape)

_HOLDERS = (
    "alerts",
    "archives",
    "associations",
    "certificates",
    "clock",
    "counts",
    "destinations",
    "loop",
    "media",
    "queue",
    "usage",
    "work",
)
"""Names of what holds fields."""

_PLAIN_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,9})?(e-?[0-9]{1,3})?")
_UID_FORM = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
_STATUS_FORM = re.compile(r"([0-9A-F]{4})H?\b")
_HEXADECIMAL_FORM = re.compile(r"[0-9a-f]{1,8}")
_SHORT_NUMBER = re.compile(r"[0-9]{1,6}(\.[0-9]{1,3}){0,2}")


class Redactor:
    """One for each bundle. `names` are those that the configuration gives to things."""

    def __init__(self, sentences: Sentences, names: Iterable[str]) -> None:
        self.sentences = sentences
        self._names = frozenset(names)
        self._key = os.urandom(32)
        self._said: dict[tuple[str, bool], str] = {}
        self._forms: dict[int, Callable[[str], str | None]] = {
            _NUMBER: lambda text: text if _PLAIN_NUMBER.fullmatch(text) else None,
            _NAME: lambda text: text if text in self._names else None,
            _WORD: lambda text: text if text in sentences.words else None,
            _UID: lambda text: self.hashed(text) if _UID_FORM.fullmatch(text) else None,
            _SENTENCE: lambda text: self.sentence(text),
            _ADDRESS: lambda text: text if text in self._names or _is_address(text) else None,
            _STATUS: _status,
            _HEXADECIMAL: lambda text: text if _HEXADECIMAL_FORM.fullmatch(text) else None,
        }

    def hashed(self, text: str) -> str:
        """The same word for the same text, in this bundle only."""
        return "#" + hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()[:12]

    def field(self, name: str, text: str) -> str:
        """The value of a field of a log event or a label of a metric."""
        for form in FIELDS.get(name, ()):
            found = self._forms[form](text)
            if found is not None:
                return found
        return REMOVED if text else ""

    def sentence(self, text: str) -> str:
        """Words of the program; what stands in their gaps only if it is a name or words again."""
        return _status(text) or self._sentence(text, 0, lenient=False)

    def finding(self, text: str) -> str:
        """What a check says that never sees an object: short numbers and words are let through."""
        return self._sentence(text, 0, lenient=True)

    def _sentence(self, text: str, depth: int, *, lenient: bool) -> str:
        def judge(gap: str) -> str:
            if not gap or gap in self._names or _is_address(gap):
                return gap
            if lenient and self._is_plain(gap):
                return gap
            return self._sentence(gap, depth + 1, lenient=lenient) if depth < 4 else REMOVED

        found = self._said.get((text, lenient))
        if found is None:
            said = self.sentences.of(text, judge)
            found = REMOVED if said is None else said
            # A log repeats itself; but what is remembered has an end.
            if len(self._said) > 10_000:
                self._said.clear()
            self._said[text, lenient] = found
        return found

    def _is_plain(self, text: str) -> bool:
        """A short number, or words of the program one after the other."""
        words = self.sentences.words
        return bool(_SHORT_NUMBER.fullmatch(text)) or all(
            each in words for each in text.split(", ")
        )

    def tree(self, value: Any, name: str = "") -> Any:
        """JSON: a number, a flag or a text by the name of its field; other fields are left out."""
        if isinstance(value, Mapping):
            return {
                key: self.tree(each, key)
                for key, each in value.items()
                if key in FIELDS or key in _HOLDERS or isinstance(each, bool)
            }
        if isinstance(value, (list, tuple)):
            return [self.tree(each, name) for each in value]
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, (int, float)):
            return value if _NUMBER in FIELDS.get(name, ()) else REMOVED
        return self.field(name, str(value))


def _status(text: str) -> str | None:
    """A DIMSE status with our words for it; a peer's comment behind them is taken out."""
    found = _STATUS_FORM.match(text)
    if found is None:
        return None
    if found.end() == len(text):
        return text
    ours = status_text(int(found[1], 16))
    if not text.startswith(ours):
        return None
    return ours if ours == text else f"{ours} {REMOVED}"


def _is_address(text: str) -> bool:
    """An IP address, with or without a port."""
    for each in (text, text.rpartition(":")[0].strip("[]")):
        try:
            ipaddress.ip_address(each)
        except ValueError:
            continue
        return True
    return False
