"""Where dciodvfy (dicom3tools 20220618) calls an error what the standard allows, and why.

The only list of its kind: a line of the checker that is not here fails the test. Each entry is
the line, the SOP classes that it may be said of (empty: any), the photometric interpretation it is
about ("": any), the clause that shows it wrong, and the transfer syntaxes (empty: any).
"""

from typing import NamedTuple


class WrongError(NamedTuple):
    line: str
    sop_class_uids: tuple[str, ...]
    photometric_interpretation: str
    clause: str
    transfer_syntax_uids: tuple[str, ...] = ()


_HEVC = ("1.2.840.10008.1.2.4.107", "1.2.840.10008.1.2.4.108")
_HEVC_IS_ENCAPSULATED = (
    "PS3.5 A.4.10: the HEVC transfer syntaxes are encapsulated; the checker does not know them and "
    "stops reading at Pixel Data"
)
_SECONDARY_CAPTURE_IMAGE = "1.2.840.10008.5.1.4.1.1.7"

WRONG_ERRORS = (
    WrongError(
        "Missing attribute Type 2C Conditional Element=<Laterality> Module=<GeneralSeries>",
        (),
        "",
        "PS3.3 C.7.3.1: required only if the body part examined is a paired structure; the "
        "checker asks for it in every object that has no Image Laterality",
    ),
    WrongError(
        "PixelData has incorrect value length",
        (_SECONDARY_CAPTURE_IMAGE,),
        "YBR_FULL_422",
        "PS3.3 C.7.6.3.1.2: of YBR_FULL_422 two Y values are stored for one CB and one CR, hence "
        "two bytes a pixel; the checker counts three",
    ),
    WrongError(
        "Unrecognized enumerated value <YBR_FULL_422> for value 1 of attribute "
        "<Photometric Interpretation>",
        (_SECONDARY_CAPTURE_IMAGE,),
        "YBR_FULL_422",
        "PS3.3 C.7.6.3.1.2 defines the term and the order of its samples in native form, and "
        "C.8.6.2 does not constrain Photometric Interpretation",
    ),
    *(
        WrongError(line, (), "", _HEVC_IS_ENCAPSULATED, _HEVC)
        for line in (
            "Undefined value length of other byte/word element is illegal in non-encapsulated "
            "transfer syntax",
            "Dicom dataset read failed",
            "Missing attribute Type 1C Conditional Element=<PixelData> Module=<ImagePixel>",
        )
    ),
)


def is_wrong(
    error: str, sop_class_uid: str, photometric_interpretation: str, transfer_syntax_uid: str = ""
) -> bool:
    """Whether the checker's line is one of the list, about an object of this kind."""
    return any(
        entry.line in error
        and sop_class_uid in (entry.sop_class_uids or (sop_class_uid,))
        and entry.photometric_interpretation in ("", photometric_interpretation)
        and transfer_syntax_uid in (entry.transfer_syntax_uids or (transfer_syntax_uid,))
        for entry in WRONG_ERRORS
    )
