"""Secrets: a configuration says where one lies, never what it is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from agent.configuration.kind import Place, Scalar
from agent.errors import ConfigurationError

MAXIMUM_LENGTH = 65536


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a secret lies: a file, or a credential that systemd hands over (LoadCredential=)."""

    file: str = ""
    credential: str = ""

    def __bool__(self) -> bool:
        return bool(self.file or self.credential)

    @property
    def path(self) -> str:
        """The file that holds it; raises `ConfigurationError` when systemd gave no credentials."""
        if self.file:
            return self.file
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        if not folder:
            raise ConfigurationError(
                f"systemd handed over no credentials, and {self.credential!r} is wanted",
                value=self.credential,
                way_out=f"add LoadCredential={self.credential}:FILE to the unit, or name a file",
            )
        return f"{folder}/{self.credential}"

    def read(self) -> bytes:
        """The secret without the line end behind it; raises `ConfigurationError` with the way out.

        Read at the moment of use, so that the configuration itself never holds it.
        """
        if not self:
            return b""
        try:
            with open(self.path, "rb") as file:  # noqa: PTH123 - pathlib is not needed otherwise
                value = file.read(MAXIMUM_LENGTH + 1)
        except OSError as error:
            raise ConfigurationError(
                f"the secret in {self.path} cannot be read: {error.strerror}",
                value=self.path,
                way_out="check that the file is there and that the service may read it",
            ) from None
        if len(value) > MAXIMUM_LENGTH:
            raise ConfigurationError(
                f"the secret in {self.path} is too long", value=len(value), limit=MAXIMUM_LENGTH
            )
        return value.rstrip(b"\r\n")


class SecretPlace(Scalar):
    """Where a secret lies; the secret itself is refused, and not repeated in the message."""

    allowed = '{ file = "/absolute/path" } or { credential = "name" }'

    def read(self, value: object, place: Place) -> Any:
        if isinstance(value, dict) and len(value) == 1:
            (where, text), *_ = value.items()
            if isinstance(text, str) and text:
                if where == "file" and text.startswith("/"):
                    return Secret(file=text)
                if where == "credential" and "/" not in text and not text.startswith("."):
                    return Secret(credential=text)
        return place.report(
            "a secret is not written into the configuration: say where it lies",
            allowed=self.allowed,
        )

    def write(self, value: Any) -> object:
        if not value:
            return {}
        return {"file": value.file} if value.file else {"credential": value.credential}
