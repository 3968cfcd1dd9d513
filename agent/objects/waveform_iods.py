"""The tables of General ECG, 12-lead ECG and Basic Voice Audio (PS3.3 A.34, C.10)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent.objects.iod import PATIENT_TO_EQUIPMENT, Iod
from agent.objects.module import Attribute, Module

TWELVE_LEAD_ECG = "1.2.840.10008.5.1.4.1.1.9.1.1"
GENERAL_ECG = "1.2.840.10008.5.1.4.1.1.9.1.2"
BASIC_VOICE_AUDIO = "1.2.840.10008.5.1.4.1.1.9.4.1"

_A = Attribute

MODULES = (
    Module(
        "Waveform Identification",
        "C.10.8",
        (
            _A(0x00200013, "IS", "1", "instance.number"),
            _A(0x00080023, "DA", "1", "instance.created.date"),
            _A(0x00080033, "TM", "1", "instance.created.time"),
            _A(0x0008002A, "DT", "1", "acquired_date_time"),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class WaveformRule:
    """What an IOD allows of its multiplex groups; pairs are the least and the most."""

    clause: str
    groups: int
    channels: tuple[int, int]
    """Of each group."""
    all_channels: int
    """Of all groups together."""
    samples: int
    frequency: tuple[float, float]
    interpretations: tuple[str, ...]


_UNLIMITED = 0xFFFFFFFF

RULES: Mapping[str, WaveformRule] = {
    TWELVE_LEAD_ECG: WaveformRule("A.34.3.4", 5, (1, 13), 13, 16384, (200.0, 1000.0), ("SS",)),
    GENERAL_ECG: WaveformRule("A.34.4.4", 4, (1, 24), 96, _UNLIMITED, (200.0, 1000.0), ("SS",)),
    BASIC_VOICE_AUDIO: WaveformRule(
        "A.34.2.4", 1, (1, 2), 2, _UNLIMITED, (8000.0, 8000.0), ("UB", "MB", "AB")
    ),
}


def _waveform(sop_class_uid: str, clause: str, modality: str) -> Iod:
    modules = (
        *PATIENT_TO_EQUIPMENT,
        "Waveform Identification",
        "Acquisition Context",
        "SOP Common",
    )
    return Iod(sop_class_uid, clause, modality, (), modules)


IODS = (
    _waveform(TWELVE_LEAD_ECG, "A.34.3", "ECG"),
    _waveform(GENERAL_ECG, "A.34.4", "ECG"),
    _waveform(BASIC_VOICE_AUDIO, "A.34.2", "AU"),
)
