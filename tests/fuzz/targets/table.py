"""The table of all targets, by name. A new one is a module beside this and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tests.fuzz.target import Target
from tests.fuzz.targets import (
    answers,
    audit,
    cms,
    command,
    control,
    data_set,
    deflated,
    directory,
    hello,
    identifier,
    packed,
    part10,
    pdu,
    signature,
    tpm,
    worklist,
)

TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        "pdu": pdu.TARGET,
        "command": command.TARGET,
        "data-set": data_set.TARGET,
        "part10": part10.TARGET,
        "directory": directory.TARGET,
        "cms": cms.TARGET,
        "control": control.TARGET,
        "packed": packed.TARGET,
        "deflated": deflated.TARGET,
        "identifier": identifier.TARGET,
        "worklist": worklist.TARGET,
        "hello": hello.TARGET,
        "signature": signature.TARGET,
        "audit": audit.TARGET,
        "tpm": tpm.TARGET,
        "answers": answers.TARGET,
    }
)
