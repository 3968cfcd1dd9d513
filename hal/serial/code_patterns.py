"""What a code says: patient, order or operator out of the text of a barcode or card."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from hal.serial.base import WrongSettings

LONGEST_CODE = 512
"""Characters of a code that are looked at: no pattern can take long on so few."""


class CodePatterns:
    """Regular expressions with named groups, in order; the first that fits the whole code wins.

    A group's name is what it finds: `PatientID`, `AccessionNumber`, `ScheduledProcedureStepID`,
    `OperatorsName`, or any other name that the owner knows.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        """Raises WrongSettings for a pattern that is no regular expression or names nothing."""
        self._patterns = []
        for pattern in patterns:
            try:
                compiled = re.compile(pattern)
            except re.error as error:
                raise WrongSettings(f"{pattern!r} is no pattern: {error}") from None
            if not compiled.groupindex:
                raise WrongSettings(f"{pattern!r} has no named group, such as (?P<PatientID>.+)")
            self._patterns.append(compiled)

    def values_of(self, text: str) -> Mapping[str, str]:
        """What the first pattern that fits found, without empty values; empty where none fits."""
        if len(text) > LONGEST_CODE:
            return {}
        for pattern in self._patterns:
            found = pattern.fullmatch(text)
            if found is not None:
                return {name: value for name, value in found.groupdict().items() if value}
        return {}
