"""What is wrong with a configuration: every problem with its place, all told at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from agent.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where it stands, what it says, what it may say.

    `source` is a file, or the words of a `--set`; `line` is 0 where no single line can be named;
    `suggestion` is the nearest thing that would have been right.
    """

    source: str
    line: int
    key: str
    message: str
    allowed: str = ""
    suggestion: str = ""

    def __str__(self) -> str:
        place = f"{self.source}:{self.line}: " if self.line else f"{self.source}: "
        key = f"{self.key}: " if self.key and self.source != f"--set {self.key}" else ""
        text = (place if self.source else "") + key + self.message
        if self.allowed:
            text += f"; allowed: {self.allowed}"
        if self.suggestion:
            text += f"; did you mean {self.suggestion!r}?"
        return text


class ConfigurationErrors(ConfigurationError):
    """The configuration cannot be used; `problems` holds all that is wrong with it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        title = f"the configuration has {count} problem{'' if count == 1 else 's'}"
        super().__init__(
            "\n".join([title, *(f"  {problem}" for problem in self.problems)]),
            value=count,
            way_out="correct what is named; `gantry config` explains every key",
        )
