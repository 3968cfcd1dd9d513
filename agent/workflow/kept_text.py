"""A text that is kept in a file; in a worker, for a disk makes one wait."""

from __future__ import annotations

import os
from pathlib import Path

from agent.errors import StorageError


def keep(path: str, text: str) -> None:
    """Write a file whole, or not at all; in a worker. Raises StorageError."""
    file = Path(path)
    fresh = file.with_suffix(".new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with fresh.open("w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(file)
    except OSError as error:
        raise StorageError(f"{file.name} cannot be written: {error.strerror}.") from error


def kept(path: str) -> str:
    """What `keep` wrote; "" where there is nothing. Raises StorageError."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}.") from error
