"""The one table of transfer syntaxes: PS3.5 annex A and PS3.6 Table A-1, retired ones included.

`TRANSFER_SYNTAXES` maps a UID to its `TransferSyntax`; `by_name` takes what a person types (a UID,
a short name such as "jpeg-ls", or the keyword of PS3.6). An object in a syntax that is not here
can still be stored and passed on unchanged; `encoding_of` says how such a data set is then read.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
ENCAPSULATED_UNCOMPRESSED_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1.98"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1.99"
EXPLICIT_VR_BIG_ENDIAN = "1.2.840.10008.1.2.2"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.57"
JPEG_LOSSLESS_FIRST_ORDER = "1.2.840.10008.1.2.4.70"
JPEG_LS_LOSSLESS = "1.2.840.10008.1.2.4.80"
JPEG_LS_NEAR_LOSSLESS = "1.2.840.10008.1.2.4.81"
JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"
JPEG_2000 = "1.2.840.10008.1.2.4.91"
RLE_LOSSLESS = "1.2.840.10008.1.2.5"
DEFLATED_IMAGE_FRAME = "1.2.840.10008.1.2.8.1"

UNCOMPRESSED = (
    IMPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
)


class Family(Enum):
    """What encodes the pixel data of a transfer syntax."""

    NATIVE = "native"
    RLE = "rle"
    DEFLATE = "deflate"
    JPEG = "jpeg"
    JPEG_LOSSLESS = "jpeg-lossless"
    JPEG_LS = "jpeg-ls"
    JPEG_2000 = "jpeg-2000"
    HTJ2K = "htj2k"
    JPEG_XL = "jpeg-xl"
    MPEG2 = "mpeg2"
    H264 = "h264"
    HEVC = "hevc"
    REFERENCED = "referenced"
    """Pixel data stay with a provider (JPIP); the object carries its address."""
    REAL_TIME = "real-time"
    """A stream of PS3.22; no data set is encoded in it."""
    DOCUMENT = "document"
    """A wrapping of PS3.10 or PS3.18 that never was an encoding of a DIMSE data set."""


LOSSY_COMPRESSION_METHODS: Mapping[Family, str] = {
    Family.JPEG: "ISO_10918_1",
    Family.JPEG_LS: "ISO_14495_1",
    Family.MPEG2: "ISO_13818_2",
    Family.H264: "ISO_14496_10",
    Family.HEVC: "ISO_23008_2",
}
"""Lossy Image Compression Method of the lossy syntaxes of a family (PS3.3 C.7.6.1.1.5.1). JPEG 2000
may have lost nothing, which only who compressed knows."""


class TransferSyntax(NamedTuple):
    """One row of the registry.

    `lossy` says that pixel data may have lost information (JPEG 2000 `.91` may, or may not). The
    row of a syntax that cannot carry a data set has `transferable` False and is never negotiated.
    """

    uid: str
    name: str
    keyword: str
    short_name: str
    family: Family
    lossy: bool
    retired: bool
    explicit_vr: bool
    little_endian: bool
    encapsulated: bool
    deflated: bool

    @property
    def transferable(self) -> bool:
        """Whether a data set can be encoded in it, hence proposed in a presentation context."""
        return self.family not in (Family.REAL_TIME, Family.DOCUMENT)

    @property
    def video(self) -> bool:
        """Whether the pixel data are one video stream rather than independent frames."""
        return self.family in (Family.MPEG2, Family.H264, Family.HEVC)


_Rows = tuple[tuple[str, str, str, str, Family, bool, bool], ...]

# Each row: UID, name, keyword, short name, family, lossy, retired.

# PS3.5 A.1: Implicit VR Little Endian.
_IMPLICIT: _Rows = (
    (
        "1.2.840.10008.1.2",
        "Implicit VR Little Endian",
        "ImplicitVRLittleEndian",
        "implicit",
        Family.NATIVE,
        False,
        False,
    ),
    (
        "1.2.840.10008.1.20",
        "Papyrus 3 Implicit VR Little Endian",
        "Papyrus3ImplicitVRLittleEndian",
        "papyrus",
        Family.NATIVE,
        False,
        True,
    ),
)

# PS3.5 A.2: Explicit VR Little Endian, and what shares its encoding (A.6, A.11).
_EXPLICIT: _Rows = (
    (
        "1.2.840.10008.1.2.1",
        "Explicit VR Little Endian",
        "ExplicitVRLittleEndian",
        "explicit",
        Family.NATIVE,
        False,
        False,
    ),
    (
        "1.2.840.10008.1.2.4.94",
        "JPIP Referenced",
        "JPIPReferenced",
        "jpip",
        Family.REFERENCED,
        True,
        False,
    ),
    (
        "1.2.840.10008.1.2.4.204",
        "JPIP HTJ2K Referenced",
        "JPIPHTJ2KReferenced",
        "jpip-htj2k",
        Family.REFERENCED,
        True,
        False,
    ),
    (
        "1.2.840.10008.1.2.6.1",
        "RFC 2557 MIME encapsulation",
        "RFC2557MIMEEncapsulation",
        "mime",
        Family.DOCUMENT,
        False,
        True,
    ),
    ("1.2.840.10008.1.2.6.2", "XML Encoding", "XMLEncoding", "xml", Family.DOCUMENT, False, True),
    (
        "1.2.840.10008.1.2.7.1",
        "SMPTE ST 2110-20 Uncompressed Progressive Active Video",
        "SMPTEST211020UncompressedProgressiveActiveVideo",
        "smpte-progressive",
        Family.REAL_TIME,
        False,
        False,
    ),
    (
        "1.2.840.10008.1.2.7.2",
        "SMPTE ST 2110-20 Uncompressed Interlaced Active Video",
        "SMPTEST211020UncompressedInterlacedActiveVideo",
        "smpte-interlaced",
        Family.REAL_TIME,
        False,
        False,
    ),
    (
        "1.2.840.10008.1.2.7.3",
        "SMPTE ST 2110-30 PCM Digital Audio",
        "SMPTEST211030PCMDigitalAudio",
        "smpte-audio",
        Family.REAL_TIME,
        False,
        False,
    ),
)

# PS3.5 A.3: Explicit VR Big Endian.
_BIG_ENDIAN: _Rows = (
    (
        "1.2.840.10008.1.2.2",
        "Explicit VR Big Endian",
        "ExplicitVRBigEndian",
        "explicit-big",
        Family.NATIVE,
        False,
        True,
    ),
)

# PS3.5 A.5, A.7, A.12: Explicit VR Little Endian, deflated as a whole.
_DEFLATED: _Rows = (
    (
        "1.2.840.10008.1.2.1.99",
        "Deflated Explicit VR Little Endian",
        "DeflatedExplicitVRLittleEndian",
        "deflated",
        Family.NATIVE,
        False,
        False,
    ),
    (
        "1.2.840.10008.1.2.4.95",
        "JPIP Referenced Deflate",
        "JPIPReferencedDeflate",
        "jpip-deflated",
        Family.REFERENCED,
        True,
        False,
    ),
    (
        "1.2.840.10008.1.2.4.205",
        "JPIP HTJ2K Referenced Deflate",
        "JPIPHTJ2KReferencedDeflate",
        "jpip-htj2k-deflated",
        Family.REFERENCED,
        True,
        False,
    ),
)

# PS3.5 A.4: Explicit VR Little Endian with encapsulated pixel data.
_ENCAPSULATED: _Rows = (
    (
        "1.2.840.10008.1.2.1.98",
        "Encapsulated Uncompressed Explicit VR Little Endian",
        "EncapsulatedUncompressedExplicitVRLittleEndian",
        "encapsulated",
        Family.NATIVE,
        False,
        False,
    ),
    (
        "1.2.840.10008.1.2.4.50",
        "JPEG Baseline (Process 1)",
        "JPEGBaseline8Bit",
        "jpeg-baseline",
        Family.JPEG,
        True,
        False,
    ),
    (
        "1.2.840.10008.1.2.4.51",
        "JPEG Extended (Process 2 and 4)",
        "JPEGExtended12Bit",
        "jpeg-extended",
        Family.JPEG,
        True,
        False,
    ),
    (
        "1.2.840.10008.1.2.4.52",
        "JPEG Extended (Process 3 and 5)",
        "JPEGExtended35",
        "jpeg-process-3-5",
        Family.JPEG,
        True,
        True,
    ),
    (
        "1.2.840.10008.1.2.4.53",
        "JPEG Spectral Selection, Non-Hierarchical (Process 6 and 8)",
        "JPEGSpectralSelectionNonHierarchical68",
        "jpeg-process-6-8",
        Family.JPEG,
        True,
        True,
    ),
    (
        "1.2.840.10008.1.2.4.54",
        "JPEG Spectral Selection, Non-Hierarchical (Process 7 and 9)",
        "JPEGSpectralSelectionNonHierarchical79",
        "jpeg-process-7-9",
        Family.JPEG,
        True,
        True,
    ),
    (
        "1.2.840.10008.1.2.4.55",
        "JPEG Full Progression, Non-Hierarchical (Process 10 and 12)",
        "JPEGFullProgressionNonHierarchical1012",
        "jpeg-process-10-12",
        Family.JPEG,
        True,
        True,
    ),
    (
        "1.2.840.10008.1.2.4.56",
        "JPEG Full Progression, Non-Hierarchical (Process 11 and 13)",
        "JPEGFullProgressionNonHierarchical1113",
        "jpeg-process-11-13",
        Family.JPEG,
        True,
        True,
    ),
    (
        "1.2.840.10008.1.2.4.57",
        "JPEG Lossless, Non-Hierarchical (Process 14)",
        "JPEGLossless",
        "jpeg-lossless-any",
        Family.JPEG_LOSSLESS,
        False,
        False,
    ),
    (
        "1.2.840.10008.1.2.4.58",
        "JPEG Lossless, Non-Hierarchical (Process 15)",
        "JPEGLosslessNonHierarchical15",
        "jpeg-process-15",
        Family.JPEG_LOSSLESS,
        False,
        True,
    ),
    (
        "1.2.840.10008.1.2.4.59",
        "JPEG Extended, Hierarchical (Process 16 and 18)",
        "JPEGExtendedHierarchical1618",
        "jpeg-process-16-18",
        Family.JPEG,
        True,
        True,
    ),
    (
        "1.2.840.10008.1.2.4.60",
        "JPEG Extended, Hierarchical (Process 17 and 19)",
        "JPEGExtendedHierarchical1719",
        "jpeg-process-17-19",
        Family.JPEG,
        True,
        True,
    ),
    (
        "1.2.840.10008.1.2.4.61",
        "JPEG Spectral Selection, Hierarchical (Process 20 and 22)",
        "JPEGSpectralSelectionHierarchical2022",
        "jpeg-process-20-22",
        Family.JPEG,
        True,
        True,
    ),
    (
        "1.2.840.10008.1.2.4.62",
        "JPEG Spectral Selection, Hierarchical (Process 21 and 23)",
        "JPEGSpectralSelectionHierarchical2123",
        "jpeg-process-21-23",
        Family.JPEG,
        True,
        True,
    ),
    (
        "1.2.840.10008.1.2.4.63",
        "JPEG Full Progression, Hierarchical (Process 24 and 26)",
        "JPEGFullProgressionHierarchical2426",
        "jpeg-process-24-26",
        Family.JPEG,
        True,
        True,
    ),
    (
        "1.2.840.10008.1.2.4.64",
        "JPEG Full Progression, Hierarchical (Process 25 and 27)",
        "JPEGFullProgressionHierarchical2527",
        "jpeg-process-25-27",
        Family.JPEG,
        True,
        True,
    ),
    (
        "1.2.840.10008.1.2.4.65",
        "JPEG Lossless, Hierarchical (Process 28)",
        "JPEGLosslessHierarchical28",
        "jpeg-process-28",
        Family.JPEG_LOSSLESS,
        False,
        True,
    ),
    (
        "1.2.840.10008.1.2.4.66",
        "JPEG Lossless, Hierarchical (Process 29)",
        "JPEGLosslessHierarchical29",
        "jpeg-process-29",
        Family.JPEG_LOSSLESS,
        False,
        True,
    ),
    (
        "1.2.840.10008.1.2.4.70",
        "JPEG Lossless, Non-Hierarchical, First-Order Prediction (Process 14 [Selection Value 1])",
        "JPEGLosslessSV1",
        "jpeg-lossless",
        Family.JPEG_LOSSLESS,
        False,
        False,
    ),
    (
        "1.2.840.10008.1.2.4.80",
        "JPEG-LS Lossless Image Compression",
        "JPEGLSLossless",
        "jpeg-ls",
        Family.JPEG_LS,
        False,
        False,
    ),
    (
        "1.2.840.10008.1.2.4.81",
        "JPEG-LS Lossy (Near-Lossless) Image Compression",
        "JPEGLSNearLossless",
        "jpeg-ls-near",
        Family.JPEG_LS,
        True,
        False,
    ),
    (
        "1.2.840.10008.1.2.4.90",
        "JPEG 2000 Image Compression (Lossless Only)",
        "JPEG2000Lossless",
        "jpeg-2000-lossless",
        Family.JPEG_2000,
        False,
        False,
    ),
    (
        "1.2.840.10008.1.2.4.91",
        "JPEG 2000 Image Compression",
        "JPEG2000",
        "jpeg-2000",
        Family.JPEG_2000,
        True,
        False,
    ),
    (
        "1.2.840.10008.1.2.4.92",
        "JPEG 2000 Part 2 Multi-component Image Compression (Lossless Only)",
        "JPEG2000MCLossless",
        "jpeg-2000-part2-lossless",
        Family.JPEG_2000,
        False,
        False,
    ),
    (
        "1.2.840.10008.1.2.4.93",
        "JPEG 2000 Part 2 Multi-component Image Compression",
        "JPEG2000MC",
        "jpeg-2000-part2",
        Family.JPEG_2000,
        True,
        False,
    ),
    (
        "1.2.840.10008.1.2.4.100",
        "MPEG2 Main Profile / Main Level",
        "MPEG2MPML",
        "mpeg2-main",
        Family.MPEG2,
        True,
        False,
    ),
    (
        "1.2.840.10008.1.2.4.100.1",
        "Fragmentable MPEG2 Main Profile / Main Level",
        "MPEG2MPMLF",
        "mpeg2-main-fragmentable",
        Family.MPEG2,
        True,
        False,
    ),
    (
        "1.2.840.10008.1.2.4.101",
        "MPEG2 Main Profile / High Level",
        "MPEG2MPHL",
        "mpeg2-high",
        Family.MPEG2,
        True,
        False,
    ),
    (
        "1.2.840.10008.1.2.4.101.1",
        "Fragmentable MPEG2 Main Profile / High Level",
        "MPEG2MPHLF",
        "mpeg2-high-fragmentable",
        Family.MPEG2,
        True,
        False,
    ),
    (
        "1.2.840.10008.1.2.4.102",
        "MPEG-4 AVC/H.264 High Profile / Level 4.1",
        "MPEG4HP41",
        "h264-4.1",
        Family.H264,
        True,
        False,
    ),
    (
        "1.2.840.10008.1.2.4.102.1",
        "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.1",
        "MPEG4HP41F",
        "h264-4.1-fragmentable",
        Family.H264,
        True,
        False,
    ),
    (
        "1.2.840.10008.1.2.4.103",
        "MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1",
        "MPEG4HP41BD",
        "h264-bd",
        Family.H264,
        True,
        False,
    ),
    (
        "1.2.840.10008.1.2.4.103.1",
        "Fragmentable MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1",
        "MPEG4HP41BDF",
        "h264-bd-fragmentable",
        Family.H264,
        True,
        False,
    ),
    (
        "1.2.840.10008.1.2.4.104",
        "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video",
        "MPEG4HP422D",
        "h264-4.2-2d",
        Family.H264,
        True,
        False,
    ),
    (
        "1.2.840.10008.1.2.4.104.1",
        "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video",
        "MPEG4HP422DF",
        "h264-4.2-2d-fragmentable",
        Family.H264,
        True,
        False,
    ),
    (
        "1.2.840.10008.1.2.4.105",
        "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video",
        "MPEG4HP423D",
        "h264-4.2-3d",
        Family.H264,
        True,
        False,
    ),
    (
        "1.2.840.10008.1.2.4.105.1",
        "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video",
        "MPEG4HP423DF",
        "h264-4.2-3d-fragmentable",
        Family.H264,
        True,
        False,
    ),
    (
        "1.2.840.10008.1.2.4.106",
        "MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2",
        "MPEG4HP42STEREO",
        "h264-stereo",
        Family.H264,
        True,
        False,
    ),
    (
        "1.2.840.10008.1.2.4.106.1",
        "Fragmentable MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2",
        "MPEG4HP42STEREOF",
        "h264-stereo-fragmentable",
        Family.H264,
        True,
        False,
    ),
    (
        "1.2.840.10008.1.2.4.107",
        "HEVC/H.265 Main Profile / Level 5.1",
        "HEVCMP51",
        "hevc-5.1",
        Family.HEVC,
        True,
        False,
    ),
    (
        "1.2.840.10008.1.2.4.108",
        "HEVC/H.265 Main 10 Profile / Level 5.1",
        "HEVCM10P51",
        "hevc-10-5.1",
        Family.HEVC,
        True,
        False,
    ),
    (
        "1.2.840.10008.1.2.4.110",
        "JPEG XL Lossless",
        "JPEGXLLossless",
        "jpeg-xl-lossless",
        Family.JPEG_XL,
        False,
        False,
    ),
    (
        "1.2.840.10008.1.2.4.111",
        "JPEG XL JPEG Recompression",
        "JPEGXLJPEGRecompression",
        "jpeg-xl-recompressed",
        Family.JPEG_XL,
        True,
        False,
    ),
    ("1.2.840.10008.1.2.4.112", "JPEG XL", "JPEGXL", "jpeg-xl", Family.JPEG_XL, True, False),
    (
        "1.2.840.10008.1.2.4.201",
        "High-Throughput JPEG 2000 Image Compression (Lossless Only)",
        "HTJ2KLossless",
        "htj2k-lossless",
        Family.HTJ2K,
        False,
        False,
    ),
    (
        "1.2.840.10008.1.2.4.202",
        "High-Throughput JPEG 2000 with RPCL Options Image Compression (Lossless Only)",
        "HTJ2KLosslessRPCL",
        "htj2k-lossless-rpcl",
        Family.HTJ2K,
        False,
        False,
    ),
    (
        "1.2.840.10008.1.2.4.203",
        "High-Throughput JPEG 2000 Image Compression",
        "HTJ2K",
        "htj2k",
        Family.HTJ2K,
        True,
        False,
    ),
    ("1.2.840.10008.1.2.5", "RLE Lossless", "RLELossless", "rle", Family.RLE, False, False),
    (
        "1.2.840.10008.1.2.8.1",
        "Deflated Image Frame Compression",
        "DeflatedImageFrameCompression",
        "deflated-frame",
        Family.DEFLATE,
        False,
        False,
    ),
)

TRANSFER_SYNTAXES: Mapping[str, TransferSyntax] = {
    row[0]: TransferSyntax(*row, explicit_vr, little_endian, encapsulated, deflated)
    for rows, explicit_vr, little_endian, encapsulated, deflated in (
        (_IMPLICIT, False, True, False, False),
        (_EXPLICIT, True, True, False, False),
        (_BIG_ENDIAN, True, False, False, False),
        (_DEFLATED, True, True, False, True),
        (_ENCAPSULATED, True, True, True, False),
    )
    for row in rows
}

_BY_NAME = {
    name: row
    for row in TRANSFER_SYNTAXES.values()
    for name in (row.uid, row.short_name, row.keyword.lower())
}


def by_name(name: str) -> TransferSyntax:
    """The syntax with this UID, short name or keyword (letter case aside); KeyError if none."""
    return _BY_NAME[name.strip().lower()]


def encoding_of(uid: str) -> TransferSyntax:
    """The row for a UID; for one that nobody knows, a row that reads its data set all the same.

    PS3.5 A.4 fixes Explicit VR Little Endian for everything that is encapsulated, and private
    syntaxes follow it with hardly an exception.
    """
    row = TRANSFER_SYNTAXES.get(uid)
    if row is not None:
        return row
    return TransferSyntax(uid, uid, "", uid, Family.NATIVE, True, False, True, True, True, False)


def name_of(uid: str) -> str:
    """The name of a syntax, or the UID itself where nobody knows it."""
    row = TRANSFER_SYNTAXES.get(uid)
    return row.name if row is not None else uid
