"""The names that a configuration may use: all registries of the house, as one vocabulary."""

from __future__ import annotations

import functools

from agent.configuration.vocabulary import ServiceTerm, Vocabulary, names_of
from agent.dataset import tags
from agent.dataset.sop_classes import SOP_CLASSES, storage_sop_classes
from agent.dataset.transfer_syntaxes import TRANSFER_SYNTAXES, UNCOMPRESSED
from agent.media.application_profiles import PROFILES
from agent.network import tls_profiles
from agent.security.operators import QUESTION_WORDS
from agent.services.catalogue import services
from hal.capture import base as capture
from hal.panel import base as panel
from hal.removable import base as removable
from hal.serial import base as serial


@functools.cache
def vocabulary() -> Vocabulary:
    """Of this version of Gantry."""
    transferable = tuple(uid for uid, row in TRANSFER_SYNTAXES.items() if row.transferable)
    return Vocabulary(
        services={
            each.name: ServiceTerm(
                name=each.name,
                roles=each.roles,
                meaning=each.meaning,
                sop_classes=each.sop_classes,
                default_sop_classes=each.default_sop_classes,
                open=each.any_class,
            )
            for each in services().values()
        },
        sop_classes=names_of(SOP_CLASSES, lambda row: getattr(row, "keyword", None)),
        sop_class_groups={
            "storage-all": storage_sop_classes(),
            "non-patient-all": storage_sop_classes(non_patient=True)[len(storage_sop_classes()) :],
        },
        transfer_syntaxes=names_of(
            TRANSFER_SYNTAXES,
            lambda row: getattr(row, "keyword", None),
            lambda row: getattr(row, "short_name", None),
        ),
        transfer_syntax_groups={"all": transferable, "uncompressed": UNCOMPRESSED},
        attribute=_attribute,
        capture_kinds=tuple(capture.DRIVERS),
        serial_kinds=tuple(serial.DRIVERS),
        media_kinds=tuple(removable.DRIVERS),
        panel_kinds=tuple(panel.DRIVERS),
        media_profiles=tuple(PROFILES),
        tls_profiles=tuple(tls_profiles.PROFILES),
        unavailable={
            name: each.unavailable
            for name, each in tls_profiles.PROFILES.items()
            if each.unavailable
        },
        questions=QUESTION_WORDS,
    )


def _attribute(keyword: str) -> int | None:
    try:
        return tags.from_text(keyword)
    except Exception:
        return None
