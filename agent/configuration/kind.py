"""What a kind of value is: it reads what TOML says, and says what it would have been told.

`read` turns a TOML value into the value of the field, or reports at its place and gives `INVALID`.
`write` turns the value back into what TOML would say. `allowed` says in words what may be said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from agent.configuration.vocabulary import Vocabulary


class _Invalid:
    def __repr__(self) -> str:
        return "INVALID"


INVALID: Any = _Invalid()


class Place(Protocol):
    """Where a value stands, and the way to say what is wrong with it."""

    @property
    def vocabulary(self) -> Vocabulary: ...

    def report(self, message: str, *, allowed: str = "", suggestion: str = "") -> Any:
        """Add a problem; gives `INVALID`."""

    def suggest(self, word: str, words: Any) -> str:
        """The nearest of the words, or an empty text."""

    def within(self, name: str) -> Place:
        """The place of a key or an element inside this one."""

    def section(self, kind: type, tree: Mapping[str, object]) -> Any:
        """Read a table that stands here into its section; `INVALID` when nothing can be made."""


class Kind(Protocol):
    """One kind of value."""

    @property
    def allowed(self) -> str: ...

    def read(self, value: object, place: Place) -> Any: ...

    def write(self, value: Any) -> object: ...


class Scalar:
    """A kind whose values look the same in TOML and in the field."""

    allowed = ""

    def read(self, value: object, place: Place) -> Any:
        raise NotImplementedError

    def write(self, value: Any) -> object:
        return value

    def refuse(self, value: object, place: Place, suggestion: str = "") -> Any:
        return place.report(
            f"{shown(value)} is not allowed", allowed=self.allowed, suggestion=suggestion
        )


def shown(value: object) -> str:
    """A value as a person wrote it, cut where it is long."""
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
