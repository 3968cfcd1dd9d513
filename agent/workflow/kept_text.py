"""A text that is kept in a file; in a worker, for a disk makes one wait."""

from __future__ import annotations

from pathlib import Path

from agent.dataset.whole_write import replace_file
from agent.errors import StorageError
from agent.quoting import quoted


def keep(path: str, text: str) -> None:
    """Write a file whole, or not at all; in a worker. Raises StorageError."""
    file = Path(path)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, text.encode())
    except OSError as error:
        raise StorageError(f"{quoted(file.name)} cannot be written: {error.strerror}.") from error


def kept(path: str) -> str:
    """What `keep` wrote; "" where there is nothing. Raises StorageError."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise StorageError(f"{quoted(path)} cannot be read: {error.strerror}.") from error
