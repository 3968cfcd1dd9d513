"""What of an image's pixels must go with a de-identified copy (PS3.15 E.3.1, E.3.2).

Masks of the configuration go first: they are for a device and its size of images. Where none fits,
writing is looked for in images of kinds that have some burned in; what shows a face cannot be found
here, so an image that may show one is refused unless a mask says what to hide. Overlays in unused
bits of pixel cells are cleared with all overlays, whatever the options.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent.codecs.codec import RowSource
from agent.codecs.frame import FrameDescription
from agent.codecs.registry import CODECS
from agent.configuration.deidentification import Deidentify, Mask
from agent.dataset import tags
from agent.dataset.byte_source import ByteSource
from agent.dataset.head import scan_head
from agent.dataset.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, encoding_of
from agent.errors import GantryError, LocalError
from agent.objects.blanked_rows import BlankedRows
from agent.objects.region import Rectangle
from agent.objects.stored_image import StoredImage
from agent.objects.transcoding import Alteration
from agent.quoting import quoted
from agent.security.confidentiality_table import Option

_BURNED_IN_ANNOTATION = 0x0028_0301
_RECOGNIZABLE_VISUAL_FEATURES = 0x0028_0302
_MANUFACTURER, _MODEL = 0x0008_0070, 0x0008_1090
_BODY_PART = 0x0018_0015
_TEXTS = (
    tags.SOP_CLASS_UID,
    tags.MODALITY,
    tags.IMAGE_TYPE,
    _MANUFACTURER,
    _MODEL,
    _BODY_PART,
    _BURNED_IN_ANNOTATION,
    _RECOGNIZABLE_VISUAL_FEATURES,
)

_WITHOUT_WRITING = frozenset(("CT", "MR", "PT", "NM", "RTIMAGE", "RTDOSE", "SEG", "OPT", "OCT"))
"""Modalities whose own images have no writing in them (E.3.1 note 1); screenshots of them do."""
_SCREENSHOT = frozenset(("SCREEN SAVE", "SCREENSAVE"))
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_WITH_A_HEAD = frozenset(
    (
        "BRAIN", "CRANIUM", "EAR", "EYE", "FACE", "HEAD", "HEADNECK", "IAC", "JAW", "MAXILLA",
        "MANDIBLE", "NECK", "NECKCHEST", "NOSE", "ORBIT", "SELLA", "SINUS", "SKULL", "TMJ",
        "WHOLEBODY", "WHOLE BODY", "ZYGOMA",
    )
)  # fmt: skip
_VOLUMES = frozenset(("CT", "MR", "PT"))
"""Of a head, a face can be rendered (E.3.2)."""
_PHOTOGRAPHS = frozenset(("XC", "DMS", "GM"))


@dataclass(frozen=True, slots=True)
class PixelChange:
    """What is done to the frames, and the transfer syntax that the copy then has."""

    alteration: Alteration
    transfer_syntax_uid: str


class PixelRules:
    """The options and masks of one way to de-identify."""

    def __init__(self, rule: Deidentify) -> None:
        self._writing = Option.CLEAN_PIXEL_DATA.value in rule.options
        self._features = Option.CLEAN_RECOGNIZABLE_VISUAL_FEATURES.value in rule.options
        self._masks = rule.masks
        self._recognises = rule.recognise

    def change(
        self, source: ByteSource, encoding_uid: str, transfer_syntax_uid: str
    ) -> PixelChange | None:
        """What must be done to the pixels of an object; None where they stay as they are.

        Frames may be decoded. Raises LocalError for an image that cannot be cleaned, with the way
        out, FrameDamaged and PeerError for one that is damaged.
        """
        syntax = encoding_of(encoding_uid)
        values = scan_head(source, syntax, frozenset((*_TEXTS, *tags.BULK)))
        if values.pixel_data_offset is None:
            return None
        about = _About({tag: _text(values.values.get(tag, b"")) for tag in _TEXTS})
        image = _Image(source, encoding_uid, transfer_syntax_uid)
        hidden: list[Rectangle] = []
        if self._writing:
            hidden += self._hidden_writing(about, image)
        if self._features:
            hidden += self._hidden_features(about, image)
        high_bit = image.high_bit_of_odd_cells
        if not hidden and high_bit is None:
            return None

        def alteration(rows: RowSource, frame: FrameDescription) -> RowSource:
            return BlankedRows(rows, frame, hidden, high_bit)

        return PixelChange(alteration, _target(transfer_syntax_uid))

    def _hidden_writing(self, about: _About, image: _Image) -> Iterable[Rectangle]:
        fitting = self._fitting("writing", about, image)
        if fitting is not None:
            return fitting
        if not about.may_have_writing:
            return ()
        found: Sequence[Rectangle] = ()
        if self._recognises:
            # numpy comes with it.
            from agent.objects.burned_in_writing import writing_in

            found = writing_in(image.decodable("writing"))
        if not found and (about.has_writing or not self._recognises):
            raise LocalError(
                "the image may have writing burned in, and it is not known where",
                clause="PS3.15 E.3.1",
                value=about.described,
                way_out="Add a mask for this device to the [[deidentify]]; one without rectangles "
                "says that there is none.",
            )
        return found

    def _hidden_features(self, about: _About, image: _Image) -> Iterable[Rectangle]:
        fitting = self._fitting("features", about, image)
        if fitting is not None:
            return fitting
        if about.may_show_a_face:
            raise LocalError(
                "the image may show a face, and it is not known where",
                clause="PS3.15 E.3.2",
                value=about.described,
                way_out='Add a mask with hides = "features" for this device to the [[deidentify]]; '
                "one without rectangles says that there is none.",
            )
        return ()

    def _fitting(self, hides: str, about: _About, image: _Image) -> list[Rectangle] | None:
        """The rectangles of all masks that fit; None where none does."""
        masks = [each for each in self._masks if each.hides == hides and about.fits(each, image)]
        if not masks:
            return None
        found = [Rectangle(*each) for mask in masks for each in mask.rectangles]
        if found:
            image.decodable("what is masked")
        return found


class _About:
    """What an object says of what is to be seen."""

    def __init__(self, texts: dict[int, str]) -> None:
        self._texts = texts
        self._modality = texts[tags.MODALITY]

    @property
    def described(self) -> str:
        """For messages: nothing of it names a patient."""
        named = (self._modality, self._texts[_MANUFACTURER], self._texts[_MODEL])
        return ", ".join(filter(None, named))

    @property
    def has_writing(self) -> bool:
        return self._texts[_BURNED_IN_ANNOTATION] == "YES"

    @property
    def may_have_writing(self) -> bool:
        kinds = set(self._texts[tags.IMAGE_TYPE].split("\\"))
        captured = self._texts[tags.SOP_CLASS_UID].startswith(_SECONDARY_CAPTURE)
        drawn = captured or bool(kinds & _SCREENSHOT)
        return self.has_writing or drawn or self._modality not in _WITHOUT_WRITING

    @property
    def may_show_a_face(self) -> bool:
        if self._texts[_RECOGNIZABLE_VISUAL_FEATURES] == "YES":
            return True
        part = self._texts[_BODY_PART]
        volume = self._modality in _VOLUMES and (not part or part in _WITH_A_HEAD)
        return volume or self._modality in _PHOTOGRAPHS

    def fits(self, mask: Mask, image: _Image) -> bool:
        named = (
            (mask.modality, self._modality),
            (mask.manufacturer, self._texts[_MANUFACTURER]),
            (mask.model, self._texts[_MODEL]),
        )
        sized = ((mask.rows, image.rows), (mask.columns, image.columns))
        return all(
            not wanted or fnmatch.fnmatchcase(found, wanted.replace("[", "[[]"))
            for wanted, found in named
        ) and all(not wanted or wanted == found for wanted, found in sized)


class _Image:
    """The image, looked at as far as it is needed: not every object with pixels can be decoded."""

    def __init__(self, source: ByteSource, encoding_uid: str, transfer_syntax_uid: str) -> None:
        self._transfer_syntax_uid = transfer_syntax_uid
        self._stored: StoredImage | None = None
        self._reason = ""
        try:
            self._stored = StoredImage(source, encoding_of(encoding_uid), transfer_syntax_uid)
        except GantryError as error:
            self._reason = str(error)
        image = self._stored
        if image is not None and image.pixel_data is None:
            self._stored, self._reason = None, "its pixels are no samples of colour"

    @property
    def rows(self) -> int:
        return self._stored.stored.rows if self._stored is not None else 0

    @property
    def columns(self) -> int:
        return self._stored.stored.columns if self._stored is not None else 0

    @property
    def high_bit_of_odd_cells(self) -> int | None:
        """The high bit, where cells of native frames hold more than their sample."""
        image = self._stored
        if image is None or image.compressed or not image.has_odd_bits:
            return None
        return image.high_bit

    def decodable(self, what: str) -> StoredImage:
        """The image. Raises LocalError where nothing here decodes its frames."""
        syntax = encoding_of(self._transfer_syntax_uid)
        reason = self._reason
        if syntax.encapsulated and self._transfer_syntax_uid not in CODECS:
            reason = f"{syntax.name} is not decoded here"
        if self._stored is None or reason:
            raise LocalError(
                f"the image cannot be searched for {what}: {quoted(reason)}",
                clause="PS3.15 E.3.1",
                value=self._transfer_syntax_uid,
                way_out="Leave out the options that clean pixels for such objects.",
            )
        return self._stored


def _target(transfer_syntax_uid: str) -> str:
    """The same transfer syntax, where nothing more is lost by it; else uncompressed."""
    syntax = encoding_of(transfer_syntax_uid)
    lossless = transfer_syntax_uid in CODECS and not syntax.lossy
    return transfer_syntax_uid if lossless or not syntax.encapsulated else EXPLICIT_VR_LITTLE_ENDIAN


def _text(raw: bytes) -> str:
    return raw.decode("ascii", "replace").strip(" \0")
