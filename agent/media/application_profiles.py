"""The Media Storage Application Profiles of PS3.11: what may be on which medium, with which keys.

Each profile is a row: its annex, the medium, the SOP classes with their transfer syntaxes, and the
keys that its directory has beyond those of PS3.3 F.5. The secure form of a general purpose profile
(STD-GEN-SEC-...) has the same content, with every file enveloped (PS3.15 D.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

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
from agent.media.directory_records import Key

_Classes = Mapping[str, tuple[str, ...]]
_Keys = Mapping[str, tuple[Key, ...]]


class Profile(NamedTuple):
    """One Application Profile.

    `classes` maps SOP Class UIDs to the transfer syntaxes allowed; None allows all classes that
    have a record type, in `syntaxes`. `keys` are the additional ones, by record type. `icon` is the
    width and height of the icon that each IMAGE record must have, 0 where none must be. Of a
    `secure` one every file is a Secure DICOM file, the DICOMDIR too. `mail` is MIME or ZIP, where
    the medium is a mail with the files as its parts, or with a ZIP file; a `sealed` one is signed
    and encrypted as a whole (PS3.15 B.8).
    """

    name: str
    clause: str
    medium: str
    syntaxes: tuple[str, ...]
    classes: _Classes | None
    keys: _Keys
    icon: int = 0
    secure: bool = False
    mail: str = ""
    sealed: bool = False

    @property
    def updates(self) -> bool:
        """Whether the profile has the role of File-set Updater: not on a DVD (PS3.12 P). Of secure
        files we make new file-sets only: the keys of those that are there are not ours. And a
        mail is not updated (PS3.11 L.2.1.3)."""
        return self.medium != _DVD and not self.secure and not self.mail

    def refusal(self, sop_class_uid: str, transfer_syntax_uid: str) -> str:
        """Why an object cannot be in a file-set of this profile; "" where it can."""
        allowed = self.syntaxes if self.classes is None else self.classes.get(sop_class_uid, ())
        if not allowed:
            return f"{self.name} has no room for objects of the SOP Class {sop_class_uid}"
        if transfer_syntax_uid not in allowed:
            names = " or ".join(name_of(each) for each in allowed)
            return f"{self.name} wants {names}, and the object is in {name_of(transfer_syntax_uid)}"
        return ""


_STORAGE = "1.2.840.10008.5.1.4.1.1"
_CT, _MR, _SC, _XA = (f"{_STORAGE}.{end}" for end in ("2", "4", "7", "12.1"))
_US, _US_MULTI_FRAME = f"{_STORAGE}.6.1", f"{_STORAGE}.3.1"
_GRAYSCALE_STATE, _DOSE = f"{_STORAGE}.11.1", f"{_STORAGE}.88.67"
_INTRA_ORAL, _DIGITAL_X_RAY = f"{_STORAGE}.1.3", f"{_STORAGE}.1.1"
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
# Tables A.3-2 and B.3-2
_ANGIOGRAPHIC_KEYS = _of(
    PATIENT="2 PatientBirthDate, 2 PatientSex",
    SERIES="2 InstitutionName, 2 InstitutionAddress, 2 PerformingPhysicianName",
    IMAGE="1 ImageType, 2 CalibrationImage, 1C ReferencedImageSequence",
)
# Annexes H to J, M and N: what the profiles for images of one kind ask for, all together.
_COMPRESSED_KEYS = _of(
    PATIENT="1C PatientBirthDate, 1C PatientSex",
    SERIES="1C InstitutionName, 1C InstitutionAddress, 1C PerformingPhysicianName",
    IMAGE="1C ImageType, 1C ReferencedImageSequence, 1C ImagePositionPatient, "
    "1C ImageOrientationPatient, 1C FrameOfReferenceUID, 1C NumberOfFrames, 1 Rows, 1 Columns, "
    "1C PixelSpacing, 1C LossyImageCompressionRatio, 1C CalibrationImage",
)
_CD, _DVD, _DVD_RAM, _BLU_RAY = "120 mm CD-R", "120 mm DVD", "120 mm DVD-RAM", "Blu-ray disc"

_ALL_CLASSES = (
    ("STD-GEN-CD", "D", _CD, _EXPLICIT),
    ("STD-GEN-DVD-RAM", "D", _DVD_RAM, _EXPLICIT),
    ("STD-GEN-BD", "D", _BLU_RAY, _EXPLICIT),
    ("STD-GEN-DVD-JPEG", "H", _DVD, _JPEG),
    ("STD-GEN-DVD-J2K", "H", _DVD, _JPEG_2000),
    ("STD-DVD-MPEG2-MPML", "I", _DVD, (EXPLICIT_VR_LITTLE_ENDIAN, _MPEG2_MAIN)),
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
        (f"STD-GEN-BD-{name}", annex, _BLU_RAY, (EXPLICIT_VR_LITTLE_ENDIAN, syntax))
        for name, annex, syntax in (
            ("MPEG2-MPML", "M", _MPEG2_MAIN),
            ("MPEG2-MPHL", "M", _MPEG2_HIGH),
            ("MPEG4-HPLV41", "M", _MPEG4_HIGH_4_1),
            ("MPEG4-HPLV41BD", "M", _MPEG4_BD_4_1),
            ("MPEG4-HPLV42-2D", "N", _MPEG4_2D_4_2),
            ("MPEG4-HPLV42-3D", "N", _MPEG4_3D_4_2),
            ("MPEG4-SHPLV42", "N", _MPEG4_STEREO_4_2),
        )
    ),
)

_CTMR = dict.fromkeys((_CT, _MR, _SC), _LOSSLESS) | dict.fromkeys(
    (_GRAYSCALE_STATE, _DOSE), _EXPLICIT
)
_XA1K = {_XA: _LOSSLESS} | dict.fromkeys((_SC, _GRAYSCALE_STATE, _DOSE), _EXPLICIT)
_SINGLE_FRAME = {_US: _ULTRASOUND}
_MULTI_FRAME = _SINGLE_FRAME | {_US_MULTI_FRAME: _ULTRASOUND}
_DENTAL = dict.fromkeys((_INTRA_ORAL, _DIGITAL_X_RAY), _LOSSLESS)

_SOME_CLASSES: tuple[tuple[str, str, str, _Classes, _Keys, int], ...] = (
    ("STD-XABC-CD", "A", _CD, {_XA: (JPEG_LOSSLESS_FIRST_ORDER,)}, _ANGIOGRAPHIC_KEYS, 128),
    ("STD-XA1K-CD", "B", _CD, _XA1K, _ANGIOGRAPHIC_KEYS, 128),
    ("STD-XA1K-DVD", "B", _DVD, _XA1K, _ANGIOGRAPHIC_KEYS, 128),
    *(
        (f"STD-US-{use}-{frames}-{end}", "C", medium, classes, {}, 0)
        for use in ("ID", "SC", "CC")
        for frames, classes in (("SF", _SINGLE_FRAME), ("MF", _MULTI_FRAME))
        for end, medium in (("CDR", _CD), ("DVD-RAM", _DVD_RAM), ("DVD", _DVD))
    ),
    ("STD-CTMR-CD", "E", _CD, _CTMR, _CTMR_KEYS, 0),
    ("STD-CTMR-DVD-RAM", "E", _DVD_RAM, _CTMR, _CTMR_KEYS, 0),
    ("STD-CTMR-DVD", "E", _DVD, _CTMR, _CTMR_KEYS, 0),
    ("STD-WVFM-ECG-FD", "F (retired)", "1.44 MB diskette", {_ECG: _EXPLICIT}, {}, 0),
    ("STD-WVFM-HD-FD", "F (retired)", "1.44 MB diskette", {_HEMODYNAMIC: _EXPLICIT}, {}, 0),
    # K.3.3 has no additional keys.
    ("STD-DEN-CD", "K", _CD, _DENTAL, {}, 0),
)

_PLAIN: Mapping[str, Profile] = {
    name: Profile(
        name,
        f"PS3.11 {annex}",
        medium,
        syntaxes,
        None,
        _GENERAL_KEYS if annex == "D" else _COMPRESSED_KEYS,
    )
    for name, annex, medium, syntaxes in _ALL_CLASSES
} | {
    name: Profile(name, f"PS3.11 {annex}", medium, (), classes, keys, icon)
    for name, annex, medium, classes, keys, icon in _SOME_CLASSES
}
_GENERAL = "STD-GEN-"


def _secure_name(name: str) -> str:
    return name.replace(_GENERAL, f"{_GENERAL}SEC-", 1)


PROFILES: Mapping[str, Profile] = {
    **_PLAIN,
    **{
        _secure_name(each.name): each._replace(name=_secure_name(each.name), secure=True)
        for each in _PLAIN.values()
        if each.name.startswith(_GENERAL)
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

MAIL_PROFILES: Mapping[str, Profile] = {
    each.name: each
    for each in (
        Profile(
            "STD-GEN-MIME",
            "PS3.11 G",
            _MAIL,
            (*_EXPLICIT, *_ENCAPSULATED),
            None,
            _GENERAL_KEYS,
            mail=MIME,
        ),
        *(
            Profile(
                name,
                "PS3.11 L",
                _MAIL,
                (*_EXPLICIT, *_ENCAPSULATED),
                None,
                _GENERAL_KEYS,
                mail=ZIP,
                sealed=sealed,
            )
            for name, sealed in (("STD-GEN-ZIP-MAIL", False), ("STD-GEN-SEC-ZIP-MAIL", True))
        ),
        Profile("STD-DTL-SEC-ZIP-MAIL", "PS3.11 L", _MAIL, (), _DENTAL, {}, mail=ZIP, sealed=True),
    )
}
"""Of mails, by name."""


def profile_of(name: str) -> Profile:
    """The profile of this name. Raises ConfigurationError for one that is not here."""
    found = PROFILES.get(name.upper()) or MAIL_PROFILES.get(name.upper())
    if found is None:
        raise ConfigurationError(
            f"{name} is no application profile that Gantry has.",
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
    if not profile.name.startswith(_GENERAL) or profile.mail:
        raise ConfigurationError(
            f"{profile.name} has no secure form.",
            clause=profile.clause,
            value=profile.name,
            way_out="Use STD-GEN-SEC-CD or another secure profile.",
        )
    return PROFILES[_secure_name(profile.name)]


def check(profile: Profile, sop_class_uid: str, transfer_syntax_uid: str) -> None:
    """Raises StorageError for an object that the profile does not allow."""
    reason = profile.refusal(sop_class_uid, transfer_syntax_uid)
    if reason:
        raise StorageError(
            f"{reason}.",
            clause=profile.clause,
            value=(sop_class_uid, transfer_syntax_uid),
            way_out="Convert the object (gantry convert), or choose another profile.",
        )
