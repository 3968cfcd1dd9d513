"""Regular expressions of a configuration, refused where matching could take for ever.

What is matched comes from outside (a barcode, a device that has gone wrong), and the expression
engine of Python tries every way to split it. Two kinds of pattern make that unbearable even on a
short text, and are refused when they are set up:

- a repeat of a group that has a repeat, an option or a choice in it, such as `([0-9]+)*`: the
  number of ways doubles with every character. A possessive repeat (`([0-9]+-)*+`) is never tried
  again and is allowed;
- more than three repeats of `.` without an end (or one of 100 or more), each of which fits whatever
  the others do: the number of ways grows with that power of the length. `[^;]*` in their place
  fits up to the next separator only.

Three repeats of `.` take 0.1 s of a PC on 512 characters that do not fit, and 0.8 s on 1024.
"""

from __future__ import annotations

import re

from hal.serial.base import WrongSettings

_MOST_DOTS = 3
_TOKEN = re.compile(
    r"""
    (?P<escape>  \\. )
  | (?P<class>   \[ \^? \]? (?: \\. | [^\]\\] )* \] )
  | (?P<open>    \( (?: \?P<\w+> | \?P[=][^)]*(?=\)) | \?<?[=!:>] | \?[aiLmsux-]+:? )? )
  | (?P<close>   \) )
  | (?P<choice>  \| )
  | (?P<repeat>  (?: [*+?] | \{ \d* (?:,\d*)? \} ) (?P<manner>[?+])? )
  | (?P<other>   . )
    """,
    re.VERBOSE | re.DOTALL,
)
_FIXED = re.compile(r"\{\d+\}")
_ONCE_AT_MOST = ("?", "{0,1}", "{,1}")
_WITHOUT_END = re.compile(r"[*+]|\{\d*,(?:\d{3,})?\}")


def compiled(pattern: str) -> re.Pattern[str]:
    """Raises WrongSettings, in words, for what is no pattern and for what could take for ever."""
    try:
        found = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise WrongSettings(f"{pattern!r} is no pattern: {error}") from None
    _check(pattern)
    return found


def _check(pattern: str) -> None:
    dots = 0
    # Whether each group that is open has something in it that can fit in more than one way.
    wavers = [False]
    last, last_wavers = "", False
    for token in _TOKEN.finditer(pattern):
        kind, text = token.lastgroup, token.group()
        if token["repeat"]:
            times = text.removesuffix(token["manner"] or "")
            is_possessive = token["manner"] == "+"
            if last_wavers and not is_possessive and times not in _ONCE_AT_MOST:
                raise WrongSettings(
                    f"{pattern!r} repeats a group that repeats or chooses inside, which could take "
                    "for ever: make the outer repeat possessive, such as (...)*+"
                )
            if not _FIXED.fullmatch(times) and not is_possessive:
                wavers[-1] = True
                dots += last == "." and _WITHOUT_END.fullmatch(times) is not None
            last, last_wavers = "", False
            continue
        last, last_wavers = text, False
        if kind == "open":
            wavers.append(False)
        elif kind == "close":
            last_wavers = wavers.pop() if len(wavers) > 1 else False
            # What is in a group is in the group around it.
            wavers[-1] = wavers[-1] or last_wavers
        elif kind == "choice":
            wavers[-1] = True
    if dots > _MOST_DOTS:
        raise WrongSettings(
            f"{pattern!r} has more than {_MOST_DOTS} repeats of `.`, which could take for ever: "
            "write [^;]* for what ends at a separator"
        )
