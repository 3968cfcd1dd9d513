"""Names that a configuration and the key stores share; nothing else is imported for them."""

from __future__ import annotations

ALGORITHMS = ("ec-p256", "ec-p384", "rsa-2048", "rsa-3072", "rsa-4096")
"""Kinds of keys; a store may lack some."""

CERTIFICATE = "certificate.pem"
"""In the folder of a key: its certificate, then those above it."""
