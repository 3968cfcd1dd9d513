"""What stands where a value was that must not be empty (action D of PS3.15 E.1.1)."""

from __future__ import annotations

from collections.abc import Mapping

REMOVED = "REMOVED"

_BY_VR: Mapping[str, bytes] = {
    **dict.fromkeys(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"), REMOVED.encode()),
    "AS": b"000Y",
    "DA": b"19000101",
    "DS": b"0",
    "DT": b"19000101000000",
    "IS": b"0",
    "TM": b"000000",
    "UI": b"2.25.0",
    "UR": b"https://removed.invalid",
    **dict.fromkeys(("OB", "OW", "US", "SS", "UN"), bytes(2)),
    **dict.fromkeys(("AT", "FL", "OF", "OL", "SL", "UL"), bytes(4)),
    **dict.fromkeys(("FD", "OD", "OV", "SV", "UV"), bytes(8)),
}

_BY_TAG: Mapping[int, bytes] = {
    # Reason for the Attribute Modification: one of its defined terms (PS3.3 C.12.1.1.9).
    0x0400_0565: b"CORRECT",
}

_PDF = (
    b"%PDF-1.4\n"
    b"1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
    b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]>>endobj\n"
    b"xref\n0 4\n0000000000 65535 f \n0000000009 00000 n \n0000000052 00000 n \n"
    b"0000000101 00000 n \ntrailer<</Size 4/Root 1 0 R>>\nstartxref\n164\n%%EOF\n"
)
_XML = b'<?xml version="1.0"?>\n<ClinicalDocument xmlns="urn:hl7-org:v3"/>\n'
# A header of 80 bytes, and the number of triangles.
_STL = b"removed".ljust(80) + bytes(4)

_DOCUMENTS: Mapping[str, bytes] = {
    "application/pdf": _PDF,
    "text/xml": _XML,
    "application/xml": _XML,
    "model/stl": _STL,
    "model/obj": b"# removed\n",
    "model/mtl": b"# removed\n",
}


def dummy_value(tag: int, vr: str) -> bytes:
    """A value for this attribute that says nothing; numbers are zeros, in either byte order."""
    found = _BY_TAG.get(tag)
    return found if found is not None else _BY_VR.get(vr, b"")


def dummy_document(mime_type: str) -> bytes:
    """An empty document of this type, for Encapsulated Document (0042,0011)."""
    return _DOCUMENTS.get(mime_type.strip().lower(), REMOVED.encode())
