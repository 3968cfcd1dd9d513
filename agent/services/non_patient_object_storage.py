"""The Non-Patient Object Storage service class, both roles (PS3.4 Annex GG).

C-STORE with stricter rules: everything is stored, nothing is coerced, no extended negotiation
(GG.2), and the only answers are 0000H, A700H, A900H and C000H (Table GG.4-1). The rules go by the
SOP class, so they hold in an entity that lists these classes under its storage service too.
"""

from __future__ import annotations

from agent.dataset.sop_classes import NON_PATIENT, SOP_CLASSES
from agent.services.service import Service
from agent.services.storage import storage_provider

SERVICE = Service(
    name="non-patient-object-storage",
    meaning="C-STORE: hanging protocols, palettes, templates, protocols, inventories",
    clause="GG",
    roles=("scu", "scp"),
    sop_classes=NON_PATIENT,
    default_sop_classes=tuple(uid for uid in SOP_CLASSES if uid in NON_PATIENT),
    provider=storage_provider,
)
