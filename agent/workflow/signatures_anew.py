"""Signatures that a change breaks get one of ours in their place, where that is configured."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from agent.configuration.configuration import Configuration
from agent.configuration.signatures import Signatures
from agent.errors import StorageError


@dataclass(frozen=True, slots=True)
class SignaturesAnew:
    """What workers are handed; `table` says with what to sign, and whom we trust."""

    table: Signatures

    def __call__(self, before: int, after: int, changed: Collection[int], at: str = "") -> None:
        """In a worker: put a signature into the open file `after`, whose `changed` attributes have
        other values than in `before`; it bears the time `at` (DT; "": now).

        Raises ConfigurationError where our key cannot be used, StorageError where a disk fails.
        """
        # With it come the algorithms, which who signs nothing does without.
        from agent.archive import failure
        from agent.security.signature_replacement import replace_in_file

        try:
            replace_in_file(before, after, changed, self.table, at)
        except StorageError:
            raise
        except OSError as error:
            raise failure.of_system(error, "sign the object") from error


def signatures_anew(configuration: Configuration) -> SignaturesAnew | None:
    """None where broken signatures just go."""
    table = configuration.signatures
    return SignaturesAnew(table) if table.replace else None
