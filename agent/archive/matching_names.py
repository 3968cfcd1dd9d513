"""Names of persons, matched literally or by what they mean (PS3.4 C.2.2.2.1.1)."""

from __future__ import annotations

import re
import unicodedata

from agent.archive.matching_values import Test, exactly, wild

_SEPARATORS = re.compile(r"[\s^=.,'’·-]+")
_SPELLINGS = (
    ("ß", "ss"),
    ("ck", "k"),
    ("ph", "f"),
    ("th", "t"),
    ("ae", "a"),
    ("oe", "o"),
    ("ue", "u"),
    ("y", "i"),
)
_REPEATED = re.compile(r"(.)\1+")
_SOUNDS = str.maketrans("bfpvcgjkqsxzdtlmnr", "111122222222334556")
_VOWELS = re.compile(r"[aeiouhw]")


class _Folding(dict[int, int]):
    """One character for one, so that `?` stays exactly one: ß and İ have no single other case."""

    def __missing__(self, code: int) -> int:
        character = chr(code)
        folded = character.casefold()
        if len(folded) != 1:
            folded = character.lower()
        self[code] = ord(folded) if len(folded) == 1 else code
        return self[code]


_folding = _Folding()


def person_name(key: str) -> Test:
    """A name, without regard to case or trailing empty components, wild cards allowed.

    A key of one component group is tried on each group of the value; one of several, group by
    group, the empty ones matching all. Composed and combining characters are the same.
    """
    groups = [_name(each) for each in key.split("=")]
    tests = [wild(each) if "*" in each or "?" in each else exactly(each) for each in groups]
    if len(tests) == 1:
        (only,) = tests
        return lambda value: any(only(_name(each)) for each in value.split("="))

    def matches(value: str) -> bool:
        held = [_name(each) for each in value.split("=")]
        held += [""] * (len(tests) - len(held))
        return all(not groups[index] or tests[index](held[index]) for index in range(len(tests)))

    return matches


def _name(text: str) -> str:
    text = text.strip().rstrip("^ ")
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", text).translate(_folding)


def fuzzy_name(key: str) -> Test:
    """Fuzzy semantic matching; what it means is ours to say, and stands in our statement.

    What matches literally matches. Else each word of the key must be found among the words of the
    value, in any order and of any component group: as its beginning, or as one that sounds alike.
    Case, accents, widths and the two kana are one; in Latin script so are ck and k, ph and f, y and
    i, double letters, umlauts with and without e. Words sound alike when they begin with the same
    letter and their consonants are of the same kinds in the same order.
    """
    literally = person_name(key)
    wanted = [(each, _sound(each)) for each in _words(key.replace("*", " ").replace("?", " "))]

    def matches(value: str) -> bool:
        if literally(value):
            return True
        held = _words(value)
        return all(_is_among(word, sound, held) for word, sound in wanted)

    return matches


def _is_among(word: str, sound: str, held: list[str]) -> bool:
    return any(
        each.startswith(word) or (bool(sound) and each[0] == word[0] and _sound(each) == sound)
        for each in held
    )


def _words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", text.casefold())
    letters = "".join(each for each in map(_kana, plain) if not unicodedata.combining(each))
    for spelling, other in _SPELLINGS:
        letters = letters.replace(spelling, other)
    return [_REPEATED.sub(r"\1", each) for each in _SEPARATORS.split(letters) if each]


def _kana(character: str) -> str:
    """Katakana as hiragana."""
    return chr(ord(character) - 0x60) if "ァ" <= character <= "ヶ" else character


def _sound(word: str) -> str:
    """The kinds of the consonants of a Latin word behind its first letter; "" for what has none."""
    if not word.isascii() or not word.isalpha() or len(word) < 3:
        return ""
    kinds = _REPEATED.sub(r"\1", word.translate(_SOUNDS))
    return word[0] + _VOWELS.sub("", kinds[1:])
