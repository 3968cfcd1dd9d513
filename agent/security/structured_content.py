"""What of a content item stays under the Clean Structured Content Option (PS3.15 E.3.4).

The tree stays as it is, with its relationships, concepts and measurements; values that can tell who
somebody is are replaced in place, so that items which refer to each other by their position still
do. Persons, dates and UIDs are cared for by Table E.1-1; here it is about what lies in text, codes
and numbers that are named by their concept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from agent.security.confidentiality_table import Option


class ContentItem(NamedTuple):
    """What an item says of itself: Value Type (0040,A040), and Coding Scheme Designator and Code
    Value of its concept; of an item of another kind nothing."""

    value_type: str = ""
    scheme: str = ""
    code: str = ""


PUBLIC_SCHEMES = frozenset(
    (
        "DCM", "SCT", "SRT", "SNM3", "99SDM", "LN", "UCUM", "FMA", "RADLEX", "ICD10", "ICD10CM",
        "ICD10PCS", "ICD9CM", "ICDO3", "I9C", "I10", "I10P", "UMLS", "NCIt", "MDC", "ISO3166_1",
        "ISO639_1", "RFC5646", "RFC3066", "BARI", "BI", "ACR", "ATC", "C4", "NEU", "RO", "RXNORM",
        "UNS", "IBSI", "ITIS_TSN", "PUBCHEM_CID", "MGI", "UBERON", "NDC", "UPC", "JLAC10", "PBT",
    )
)  # fmt: skip
"""Coding schemes that are published (PS3.16 8): their codes identify nobody."""

_WITH_DEVICE = frozenset(
    (
        "109056", "110119", "113876", "113877", "113878", "113879", "113880", "121013", "121014",
        "121015", "121016", "121122", "121193", "121194", "121195", "121196", "122405",
    )
)  # fmt: skip
_WITH_INSTITUTION = frozenset(("121009", "121017", "121095", "121197"))
_WITH_CHARACTERISTICS = frozenset(
    (
        "109134", "11977-6", "11996-6", "11997-4", "121032", "121033", "121034", "121035", "121104",
        "121118", "263495000", "29463-7", "3141-9", "363808001", "397669002", "424144002",
        "50373000", "60621009", "8277-6", "8302-2", "8339-4",
    )
)  # fmt: skip
"""Concepts of TIDs 1001 to 1010 and of others of PS3.16, by Code Value: devices, institutions; age,
sex, species, height, weight, body surface and mass, pregnancies."""

_RETAINED_BY: Mapping[Option, frozenset[str]] = {
    Option.RETAIN_DEVICE_IDENTITY: _WITH_DEVICE,
    Option.RETAIN_INSTITUTION_IDENTITY: _WITH_INSTITUTION,
    Option.RETAIN_PATIENT_CHARACTERISTICS: _WITH_CHARACTERISTICS,
}


def keeps_value(item: ContentItem, options: frozenset[Option]) -> bool:
    """Whether text, number or code of an item stay as they are."""
    for option, concepts in _RETAINED_BY.items():
        if item.code in concepts:
            return option in options
    return item.value_type in ("NUM", "CODE")
