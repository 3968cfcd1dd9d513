"""What a code says: patient, order or operator out of the text of a barcode or card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hal.serial.base import WrongSettings
from hal.serial.expressions import compiled

LONGEST_CODE = 512
"""Characters of a code that are looked at: `hal.serial.expressions` counts on so few."""


class CodePatterns:
    """Regular expressions with named groups, in order; the first that fits the whole code wins.

    A group's name is what it finds: `PatientID`, `AccessionNumber`, `ScheduledProcedureStepID`,
    `OperatorsName`, or any other name that the owner knows. Separators of GS1 (FNC1, sent as the
    character 1D hexadecimal) are characters like others.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        """Raises WrongSettings for a pattern that is none, names nothing or could take for ever."""
        if isinstance(patterns, str):
            raise WrongSettings("`patterns` is a list of patterns")
        self._patterns = [compiled(pattern) for pattern in patterns]
        for pattern in self._patterns:
            if not pattern.groupindex:
                raise WrongSettings(
                    f"{pattern.pattern!r} has no named group, such as (?P<PatientID>.+)"
                )

    def values_of(self, text: str) -> Mapping[str, str]:
        """What the first pattern that fits found, without empty values; empty where none fits."""
        if len(text) > LONGEST_CODE:
            return {}
        for pattern in self._patterns:
            found = pattern.fullmatch(text)
            if found is not None:
                return {name: value for name, value in found.groupdict().items() if value}
        return {}
