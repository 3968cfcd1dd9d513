"""The Media Storage Application Profiles of PS3.11: what may be on which medium, with which keys.

Each profile is a row: its annex, the medium, the SOP classes with their transfer syntaxes, and the
keys that its directory has beyond those of PS3.3 F.5. The secure form of a general purpose profile
(STD-GEN-SEC-...) has the same content, with every file enveloped (PS3.15 D.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from agent.dataset.attributes import Attributes
from agent.dataset.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    JPEG_2000,
    JPEG_2000_LOSSLESS,
    JPEG_BASELINE,
    JPEG_EXTENDED,
    JPEG_LOSSLESS_FIRST_ORDER,
    RLE_LOSSLESS,
    TRANSFER_SYNTAXES,
    name_of,
)
from agent.errors import ConfigurationError, StorageError
from agent.media import image_values
from agent.media.directory_records import Key
from agent.media.image_values import NO_FORMS, Forms, fault_of, wanted_of
from agent.quoting import quoted

_Classes = Mapping[str, tuple[str, ...]]
_Keys = Mapping[str, tuple[Key, ...]]


class Icon(NamedTuple):
    """The icon of an IMAGE record: its rows and columns, and whether each record must have one.

    64 x 64 is what PS3.3 F.7 recommends to all. Bits Allocated is always 8, and Photometric
    Interpretation MONOCHROME2: what the strictest of them wants, and all allow.
    """

    side: int = 64
    is_required: bool = False


class Profile(NamedTuple):
    """One Application Profile.

    `classes` maps SOP Class UIDs to the transfer syntaxes allowed; None allows all classes that
    have a record type, in `syntaxes`. `keys` are the additional ones, by record type, `forms` what
    images of some classes must be. Of a `secure` one every file is a Secure DICOM file, the
    DICOMDIR too. `mail` is MIME or ZIP, where the medium is a mail with the files as its parts, or
    with a ZIP file; a `sealed` one is signed and encrypted as a whole (PS3.15 B.8).
    """

    name: str
    clause: str
    medium: str
    syntaxes: tuple[str, ...]
    classes: _Classes | None
    keys: _Keys
    icon: Icon = Icon()
    forms: Forms = NO_FORMS
    secure: bool = False
    mail: str = ""
    sealed: bool = False

    @property
    def updates(self) -> bool:
        """Whether the profile has the role of File-set Updater: none does on a DVD (PS3.12 P.2),
        nor for dentists (K.3.1), and a mail is not updated (PS3.11 L.2.1.3). Of secure files we
        make new file-sets only: the keys of those that are there are not ours."""
        return self.medium not in (_DVD, _MAIL) and not self.secure and self.name != _DENTAL_CD

    @property
    def wants_udf(self) -> bool:
        """Whether its disc has the file system UDF only, which we do not make (PS3.12 J, X); on a
        DVD it may be ISO 9660 as well (PS3.12 P.2)."""
        return self.medium in (_DVD_RAM, _BLU_RAY)

    def refusal(self, sop_class_uid: str, transfer_syntax_uid: str) -> str:
        """Why an object cannot be in a file-set of this profile; "" where it can."""
        allowed = self.syntaxes if self.classes is None else self.classes.get(sop_class_uid, ())
        if not allowed:
            return f"{self.name} has no room for objects of the SOP Class {sop_class_uid}"
        if transfer_syntax_uid not in allowed:
            names = " or ".join(name_of(each) for each in allowed)
            return f"{self.name} wants {names}, and the object is in {name_of(transfer_syntax_uid)}"
        return ""


class AnyProfile(Profile):
    """What is not claimed to be of any application profile takes everything."""

    def refusal(self, sop_class_uid: str, transfer_syntax_uid: str) -> str:
        return ""

    @property
    def updates(self) -> bool:
        return False


_STORAGE = "1.2.840.10008.5.1.4.1.1"
_CT, _MR, _SC, _XA = (f"{_STORAGE}.{end}" for end in ("2", "4", "7", "12.1"))
_US, _US_MULTI_FRAME = f"{_STORAGE}.6.1", f"{_STORAGE}.3.1"
_GRAYSCALE_STATE, _DOSE = f"{_STORAGE}.11.1", f"{_STORAGE}.88.67"
_INTRA_ORAL, _DIGITAL_X_RAY = f"{_STORAGE}.1.3", f"{_STORAGE}.1.1"
_STRUCTURED_DISPLAY = f"{_STORAGE}.131"
_ECG, _HEMODYNAMIC = f"{_STORAGE}.9.1.1", f"{_STORAGE}.9.2.1"

_EXPLICIT = (EXPLICIT_VR_LITTLE_ENDIAN,)
_LOSSLESS = (EXPLICIT_VR_LITTLE_ENDIAN, JPEG_LOSSLESS_FIRST_ORDER)
_JPEG = (*_LOSSLESS, JPEG_BASELINE, JPEG_EXTENDED)
_JPEG_2000 = (EXPLICIT_VR_LITTLE_ENDIAN, JPEG_2000_LOSSLESS, JPEG_2000)
_ULTRASOUND = (EXPLICIT_VR_LITTLE_ENDIAN, RLE_LOSSLESS, JPEG_BASELINE)
_MPEG2_MAIN = "1.2.840.10008.1.2.4.100"
_MPEG2_HIGH = "1.2.840.10008.1.2.4.101"
_MPEG4_HIGH_4_1 = "1.2.840.10008.1.2.4.102"
_MPEG4_BD_4_1 = "1.2.840.10008.1.2.4.103"
_MPEG4_2D_4_2 = "1.2.840.10008.1.2.4.104"
_MPEG4_3D_4_2 = "1.2.840.10008.1.2.4.105"
_MPEG4_STEREO_4_2 = "1.2.840.10008.1.2.4.106"


def _of(**types: str) -> dict[str, tuple[Key, ...]]:
    """Keys by record type, from "1C ImageType, 2 PatientSex"."""
    return {
        name: tuple(
            Key(keyword, kind) for kind, keyword in (each.split() for each in text.split(","))
        )
        for name, text in types.items()
    }


# Annex D
_GENERAL_KEYS = _of(IMAGE="1C ImageType, 1C ReferencedImageSequence")
# Table E.3-2
_CTMR_KEYS = _of(
    IMAGE="1C ReferencedImageSequence, 1C ImagePositionPatient, 1C ImageOrientationPatient, "
    "1C FrameOfReferenceUID, 1 Rows, 1 Columns, 1C PixelSpacing"
)
# Table A.3-2
_CARDIAC_KEYS = _of(
    PATIENT="2 PatientBirthDate, 2 PatientSex",
    SERIES="2 InstitutionName, 2 InstitutionAddress, 2 PerformingPhysicianName",
    IMAGE="1 ImageType, 2 CalibrationImage, 1C ReferencedImageSequence",
)
# Table B.3-2: an image of Secondary Capture need not have an Image Type.
_ANGIOGRAPHIC_KEYS = _CARDIAC_KEYS | _of(
    IMAGE="1C ImageType, 2 CalibrationImage, 1C ReferencedImageSequence, "
    "1C LossyImageCompressionRatio"
)
# Table H.3-2, which J, M and N share.
_OF_FRAMES = (
    "1C ReferencedImageSequence, 1 Rows, 1 Columns, 1C FrameOfReferenceUID, "
    "1C SynchronizationFrameOfReferenceUID, 1C NumberOfFrames, 1C AcquisitionTimeSynchronized, "
    "1C AcquisitionDateTime, 1C ImagePositionPatient, 1C ImageOrientationPatient, 1C PixelSpacing"
)
_OF_WHO_AND_WHERE = _of(
    PATIENT="1C PatientBirthDate, 1C PatientSex",
    SERIES="1C InstitutionName, 1C InstitutionAddress, 1C PerformingPhysicianName",
)
_COMPRESSED_KEYS = _OF_WHO_AND_WHERE | _of(
    IMAGE=f"1C ImageType, 1C CalibrationImage, 1C LossyImageCompressionRatio, {_OF_FRAMES}",
    SPECTROSCOPY=_OF_FRAMES,
)
# Table I.3-2
_VIDEO_KEYS = _OF_WHO_AND_WHERE | _of(
    IMAGE="1C ImageType, 1C LossyImageCompressionRatio, 1 Rows, 1 Columns"
)
_KEYS_OF_ANNEX = {"D": _GENERAL_KEYS, "I": _VIDEO_KEYS}
_NO_KEYS: _Keys = {}
_DISKETTE = "1.44 MB diskette"
_CD, _DVD, _DVD_RAM, _BLU_RAY = "120 mm CD-R", "120 mm DVD", "120 mm DVD-RAM", "Blu-ray disc"

_ALL_CLASSES = (
    ("STD-GEN-CD", "D", _CD, _EXPLICIT),
    ("STD-GEN-DVD-RAM", "D", _DVD_RAM, _EXPLICIT),
    ("STD-GEN-BD", "D", _BLU_RAY, _EXPLICIT),
    ("STD-GEN-DVD-JPEG", "H", _DVD, _JPEG),
    ("STD-GEN-DVD-J2K", "H", _DVD, _JPEG_2000),
    ("STD-DVD-MPEG2-MPML", "I", _DVD, (_MPEG2_MAIN,)),
    *(
        (f"STD-GEN-{medium}-{name}", "J", words, syntaxes)
        for medium, words in (
            ("USB", "USB connected removable device"),
            ("MMC", "MultiMediaCard"),
            ("CF", "CompactFlash"),
            ("SD", "SD card"),
        )
        for name, syntaxes in (("JPEG", _JPEG), ("J2K", _JPEG_2000))
    ),
    ("STD-GEN-BD-JPEG", "M", _BLU_RAY, _JPEG),
    ("STD-GEN-BD-J2K", "M", _BLU_RAY, _JPEG_2000),
    *(
        (f"STD-GEN-BD-{name}", "M", _BLU_RAY, (EXPLICIT_VR_LITTLE_ENDIAN, syntax))
        for name, syntax in (
            ("MPEG2-MPML", _MPEG2_MAIN),
            ("MPEG2-MPHL", _MPEG2_HIGH),
            ("MPEG4-HPLV41", _MPEG4_HIGH_4_1),
            ("MPEG4-HPLV41BD", _MPEG4_BD_4_1),
        )
    ),
    # Table N.3-1 has nothing uncompressed, as Table I.3-1.
    *(
        (f"STD-GEN-BD-{name}", "N", _BLU_RAY, (syntax,))
        for name, syntax in (
            ("MPEG4-HPLV42-2D", _MPEG4_2D_4_2),
            ("MPEG4-HPLV42-3D", _MPEG4_3D_4_2),
            ("MPEG4-SHPLV42", _MPEG4_STEREO_4_2),
        )
    ),
)

_CTMR = dict.fromkeys((_CT, _MR, _SC), _LOSSLESS) | dict.fromkeys(
    (_GRAYSCALE_STATE, _DOSE), _EXPLICIT
)
# Table B.3-1: what is compressed with a loss is for DVD only.
_XA1K = {_XA: (JPEG_LOSSLESS_FIRST_ORDER,)} | dict.fromkeys((_SC, _GRAYSCALE_STATE), _EXPLICIT)
_XA1K_DVD = _XA1K | {_XA: (JPEG_LOSSLESS_FIRST_ORDER, JPEG_BASELINE, JPEG_EXTENDED)}
_SINGLE_FRAME = {_US: _ULTRASOUND}
_MULTI_FRAME = _SINGLE_FRAME | {_US_MULTI_FRAME: _ULTRASOUND}
_DENTAL = dict.fromkeys(
    (_INTRA_ORAL, _DIGITAL_X_RAY, _STRUCTURED_DISPLAY, _GRAYSCALE_STATE), _EXPLICIT
)
_DENTAL_CD = "STD-DEN-CD"
# A.3.3.2, B.3.3.2
_LARGE_ICON = Icon(128, is_required=True)

_CARDIAC = {_XA: (JPEG_LOSSLESS_FIRST_ORDER,)}
_US_FORMS = {
    "ID": image_values.ULTRASOUND,
    "SC": image_values.CALIBRATED_ULTRASOUND,
    "CC": image_values.CALIBRATED_ULTRASOUND,
}


def _row(
    name: str,
    annex: str,
    medium: str,
    classes: _Classes,
    keys: _Keys = _NO_KEYS,
    icon: Icon = Icon(),  # noqa: B008 (a constant)
    forms: Forms = NO_FORMS,
) -> Profile:
    return Profile(name, f"PS3.11 {annex}", medium, (), classes, keys, icon, forms)


_SOME_CLASSES = (
    _row("STD-XABC-CD", "A", _CD, _CARDIAC, _CARDIAC_KEYS, _LARGE_ICON, image_values.CARDIAC),
    *(
        _row(name, "B", medium, xa, _ANGIOGRAPHIC_KEYS, _LARGE_ICON, image_values.ANGIOGRAPHIC)
        for name, medium, xa in (("STD-XA1K-CD", _CD, _XA1K), ("STD-XA1K-DVD", _DVD, _XA1K_DVD))
    ),
    *(
        _row(f"STD-US-{use}-{frames}-{end}", "C", medium, classes, forms=forms)
        for use, forms in _US_FORMS.items()
        for frames, classes in (("SF", _SINGLE_FRAME), ("MF", _MULTI_FRAME))
        for end, medium in (("CDR", _CD), ("DVD-RAM", _DVD_RAM), ("DVD", _DVD))
    ),
    *(
        _row(f"STD-CTMR-{end}", "E", medium, _CTMR, _CTMR_KEYS, forms=image_values.CT_AND_MR)
        for end, medium in (("CD", _CD), ("DVD-RAM", _DVD_RAM), ("DVD", _DVD))
    ),
    _row("STD-WVFM-ECG-FD", "F (retired)", _DISKETTE, {_ECG: _EXPLICIT}),
    _row("STD-WVFM-HD-FD", "F (retired)", _DISKETTE, {_HEMODYNAMIC: _EXPLICIT}),
    # K.3.3 has no additional keys.
    _row(_DENTAL_CD, "K", _CD, _DENTAL, forms=image_values.DENTAL),
)

_PLAIN: Mapping[str, Profile] = {
    name: Profile(
        name,
        f"PS3.11 {annex}",
        medium,
        syntaxes,
        None,
        _KEYS_OF_ANNEX.get(annex, _COMPRESSED_KEYS),
    )
    for name, annex, medium, syntaxes in _ALL_CLASSES
} | {each.name: each for each in _SOME_CLASSES}
# What a secure profile has in front of the name of its medium (D.1, H.1, I.1, J.1, M.1, N.1).
_SECURED = (("STD-GEN-", "STD-GEN-SEC-"), ("STD-DVD-", "STD-DVD-SEC-"))


def secure_name(name: str) -> str:
    """The name of the profile with Secure DICOM files; "" where there is none."""
    for plain, secured in _SECURED:
        if name.startswith(plain):
            return name.replace(plain, secured, 1)
    return ""


PROFILES: Mapping[str, Profile] = {
    **_PLAIN,
    **{
        name: each._replace(name=name, secure=True)
        for each in _PLAIN.values()
        if (name := secure_name(each.name))
    },
}
"""Of media that can be held, by name; those that are no longer made (MOD, diskettes of other
profiles) are not here."""

MIME, ZIP = "mime", "zip"
"""Of what the mail of a profile is made."""

# What PS3.11 G.3.1 and L.3.1 leave to us: all that a data set can be encapsulated in.
_ENCAPSULATED = tuple(
    uid
    for uid, row in TRANSFER_SYNTAXES.items()
    if row.encapsulated and row.transferable and not row.retired
)
_MAIL = "e-mail"

_OF_MAIL = (_MAIL, (*_EXPLICIT, *_ENCAPSULATED), None, _GENERAL_KEYS)

MAIL_PROFILES: Mapping[str, Profile] = {
    each.name: each
    for each in (
        Profile("STD-GEN-MIME", "PS3.11 G", *_OF_MAIL, mail=MIME),
        Profile("STD-GEN-ZIP-MAIL", "PS3.11 L", *_OF_MAIL, mail=ZIP),
        Profile("STD-GEN-SEC-ZIP-MAIL", "PS3.11 L", *_OF_MAIL, mail=ZIP, sealed=True),
        Profile("STD-DTL-SEC-ZIP-MAIL", "PS3.11 L", _MAIL, (), _DENTAL, {}, mail=ZIP, sealed=True),
    )
}
"""Of mails, by name."""


def profile_of(name: str) -> Profile:
    """The profile of this name. Raises ConfigurationError for one that is not here."""
    found = PROFILES.get(name.upper()) or MAIL_PROFILES.get(name.upper())
    if found is None:
        raise ConfigurationError(
            f"{quoted(name)} is no application profile that Gantry has.",
            clause="PS3.11",
            value=name,
            limit=(*PROFILES, *MAIL_PROFILES),
            way_out=f"Use one of: {', '.join(sorted((*PROFILES, *MAIL_PROFILES)))}.",
        )
    return found


def secure_form_of(profile: Profile) -> Profile:
    """The profile with Secure DICOM files; itself, where it is one. Raises ConfigurationError."""
    if profile.secure:
        return profile
    name = secure_name(profile.name)
    if not name or profile.mail:
        raise ConfigurationError(
            f"{profile.name} has no secure form.",
            clause=profile.clause,
            value=profile.name,
            way_out="Use STD-GEN-SEC-CD or another secure profile.",
        )
    return PROFILES[name]


def check(profile: Profile, sop_class_uid: str, transfer_syntax_uid: str) -> None:
    """Raises StorageError for an object that the profile does not allow."""
    reason = profile.refusal(sop_class_uid, transfer_syntax_uid)
    if reason:
        raise StorageError(
            f"{quoted(reason)}.",
            clause=profile.clause,
            value=(sop_class_uid, transfer_syntax_uid),
            way_out="Convert the object (gantry convert), or choose another profile.",
        )


def check_image(profile: Profile, sop_class_uid: str, found: Attributes, syntax: str) -> None:
    """Raises StorageError for an image that is not as the profile wants those of its class."""
    fault = fault_of(profile.forms.get(sop_class_uid, ()), found, syntax)
    if fault:
        raise StorageError(
            f"{profile.name} wants {quoted(fault)}.",
            clause=profile.clause,
            value=fault,
            way_out="Choose another profile, as STD-GEN-CD.",
        )


def wanted_for(profile: Profile, sop_class_uid: str) -> frozenset[int]:
    """The tags that `check_image` looks at."""
    return wanted_of(profile.forms.get(sop_class_uid, ()))
