"""What `gantry doctor` says of compression: the C kernels, and what goes with and without them."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from importlib.util import find_spec

from agent.cli.doctor_findings import BAD, GOOD, NOTE, Finding
from agent.codecs.registry import CODECS, available
from agent.dataset.transfer_syntaxes import TRANSFER_SYNTAXES


def codecs() -> Iterator[Finding]:
    """Whether the kernels can be loaded; the transfer syntaxes by the names that `--to` takes."""
    if find_spec("agent.codecs.kernel") is None:
        yield (
            NOTE,
            "the C kernels of the codecs were not built;"
            " they come with a C compiler (gcc and libc6-dev) when gantry is installed anew",
        )
    else:
        try:
            importlib.import_module("agent.codecs.kernel")
            yield GOOD, "the C kernels of the codecs are here"
        except ImportError as error:
            yield BAD, f"the C kernels of the codecs are here and cannot be loaded: {error}"
    here = available()
    yield GOOD, f"can compress and decompress: {_names(here)}"
    if missing := [uid for uid in CODECS if uid not in here]:
        yield NOTE, f"cannot without the C kernels: {_names(missing)}; such objects pass unchanged"


def _names(uids: tuple[str, ...] | list[str]) -> str:
    return ", ".join(TRANSFER_SYNTAXES[uid].short_name for uid in uids)
