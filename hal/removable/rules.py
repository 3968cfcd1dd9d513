"""Rules, as data, that say which media may be touched; the first that fits decides.

A pattern is that of a shell (`*`, `?`, `[]`), in any case of letters. Where no rule fits, a medium
may be touched that is made to be removed, and no other; so without rules all sticks, cards and
discs are taken. A disk that is built in is touched only where a rule permits it that names it by
its serial number or label: a rule that only says `bus = "ata"` is not enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from hal.removable.base import Medium

REMOVABLE_BUSES = frozenset(("usb", "sd", "firewire"))


@dataclass(frozen=True, slots=True)
class MediaRule:
    """Permits, or refuses, the media that fit all its patterns."""

    permit: bool = True
    bus: str = "*"
    vendor: str = "*"
    model: str = "*"
    serial: str = "*"
    label: str = "*"
    file_system: str = "*"

    def fits(self, medium: Medium) -> bool:
        """Whether all patterns match what the medium says of itself."""
        pairs = (
            (self.bus, medium.bus),
            (self.vendor, medium.vendor),
            (self.model, medium.model),
            (self.serial, medium.serial),
            (self.label, medium.label),
            (self.file_system, medium.file_system),
        )
        return all(fnmatchcase(said.lower(), pattern.lower()) for pattern, said in pairs)

    @property
    def names_one(self) -> bool:
        """Whether it says which, rather than of which kind."""
        return any(pattern.strip("*?") != "" for pattern in (self.serial, self.label))


def refusal(medium: Medium, rules: Sequence[MediaRule]) -> str:
    """Why a medium must not be touched, in words; "" when it may be."""
    is_built_in = not medium.optical and medium.bus not in REMOVABLE_BUSES
    for rule in rules:
        if not rule.fits(medium):
            continue
        if not rule.permit:
            return f"a rule refuses {_description(medium)}"
        if not is_built_in or rule.names_one:
            return ""
    if is_built_in:
        return f"{_description(medium)} is built in, and no rule names it by serial number or label"
    return ""


def _description(medium: Medium) -> str:
    serial = f" with serial number {medium.serial}" if medium.serial else ""
    return f"{medium.name} on {medium.bus}{serial}"
