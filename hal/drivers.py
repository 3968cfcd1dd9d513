"""Drivers by name: a kind of hardware lists its own, and each is imported when it is opened."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

_UNKNOWN = re.compile(r"unexpected keyword argument '(\w+)'")
_MISSING = re.compile(r"missing \d+ required [a-z-]+ arguments?: (.+)")


def found_driver(
    drivers: Mapping[str, Sequence[str]], name: str, what: str, wrong: type[Exception]
) -> Sequence[str]:
    """The row of a driver; raises `wrong`, which lists all, where there is none of this name."""
    found = drivers.get(name)
    if found is None:
        known = ", ".join(sorted(drivers))
        raise wrong(f"there is no {what} {name!r}; there are: {known}")
    return found


def made_by_driver(
    drivers: Mapping[str, Sequence[str]],
    name: str,
    options: Mapping[str, Any],
    what: str,
    wrong: type[Exception],
    misuse: tuple[type[Exception], ...] = (),
) -> Any:
    """The device of a driver by name, made with its options; imports the driver's module now.

    A row of `drivers` begins with module and class. `what` names such a driver for people. Raises
    `wrong` for a name that is not there, and where the options raise one of `misuse`: they are data
    that a person wrote, numbers that are words, tables that lack a key.
    """
    module, class_name = found_driver(drivers, name, what, wrong)[:2]
    try:
        return getattr(importlib.import_module(module), class_name)(**options)
    except misuse as error:
        raise wrong(f"the driver {name}: {_words(error)}") from error


def _words(error: Exception) -> str:
    """What Python says of arguments, in the words of a configuration."""
    text = str(error)
    unknown = _UNKNOWN.search(text)
    if unknown:
        return f"there is no setting {unknown[1]}"
    missing = _MISSING.search(text)
    if missing:
        return f"it lacks the setting {missing[1]}"
    return text
