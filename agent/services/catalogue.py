"""The catalogue of services: every module of this package that describes one."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from pathlib import Path

from agent.services.service import Service


@functools.cache
def services() -> Mapping[str, Service]:
    """All services by name, in the order of the annexes of PS3.4.

    Adding a service is adding a module with a constant `SERVICE`, or `SERVICES` for those that
    are described alike; no list is kept elsewhere. Modules without one are not imported: a node
    holds in memory what it uses.
    """
    found: list[Service] = []
    for module in Path(__file__).parent.glob("[a-z]*.py"):
        source = module.read_bytes()
        if b"\nSERVICE = " not in source and b"\nSERVICES = " not in source:
            continue
        described = importlib.import_module(f"agent.services.{module.stem}")
        service = getattr(described, "SERVICE", None)
        if isinstance(service, Service):
            found.append(service)
        found += getattr(described, "SERVICES", ())
    return {
        each.name: each for each in sorted(found, key=lambda each: (len(each.clause), each.clause))
    }
