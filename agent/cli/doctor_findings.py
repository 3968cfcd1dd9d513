"""What a check of `gantry doctor` says: a verdict and a sentence."""

from __future__ import annotations

from typing import TypeAlias

GOOD, NOTE, BAD = "ok", "--", "!!"
"""NOTE: it is not there, and nothing that is configured needs it."""

Finding: TypeAlias = tuple[str, str]
