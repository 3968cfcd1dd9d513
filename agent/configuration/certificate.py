"""Kinds of keys that are about certificates."""

from __future__ import annotations

import re
from typing import Any

from agent.configuration.kind import Place, Scalar

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


def fingerprint_of(text: str) -> str:
    """SHA-256 over a certificate, as `openssl x509 -fingerprint -sha256` prints it or without
    colons, as 64 hexadecimal digits in small letters. Raises ValueError."""
    digits = text.lower().rpartition("=")[2].strip().removeprefix("sha256:").replace(":", "")
    if not _FINGERPRINT.fullmatch(digits):
        raise ValueError("it has 64 hexadecimal digits")
    return digits


class Fingerprint(Scalar):
    """The SHA-256 fingerprint of a certificate: gives it in small letters without colons."""

    allowed = "the SHA-256 fingerprint of a certificate, 64 hexadecimal digits"

    def read(self, value: object, place: Place) -> Any:
        try:
            return fingerprint_of(value) if isinstance(value, str) else self.refuse(value, place)
        except ValueError:
            return self.refuse(value, place)
