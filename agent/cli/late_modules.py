"""Modules of the standard library that are imported when they are first asked for something.

`dataclasses` imports `inspect`, and with it the parser of Python, for a text that it writes only
for classes without a docstring: over a megabyte in each process of a node, for nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType


class _LateModule(ModuleType):
    """Stands in `sys.modules` for a module until somebody asks for one of its names."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            # What the import system asks of every module that it hands out.
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)


def import_late(*names: str) -> None:
    """Put off the import of these modules; those that are imported already stay.

    Call it before what imports them. `from name import ...` imports at once, as ever.
    """
    for name in names:
        sys.modules.setdefault(name, _LateModule(name))
