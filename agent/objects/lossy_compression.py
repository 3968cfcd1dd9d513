"""What an object must say once its pixels have lost something to compression.

PS3.3 C.7.6.1.1.5 (lossy flag, ratio, method; all that ever happened, in order), C.7.6.1.1.2 (Image
Type DERIVED), C.7.6.1.1.3 (derivation), and a SOP Instance UID of its own, for it is another image
(PS3.3 C.7.6.1.1.5).
"""

from __future__ import annotations

from agent.codecs.codec import EncodeSettings
from agent.dataset import tags
from agent.dataset.conversion import Changes
from agent.dataset.element_encoding import encode_element, item_header
from agent.dataset.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    JPEG_LS_NEAR_LOSSLESS,
    LOSSY_COMPRESSION_METHODS,
    TRANSFER_SYNTAXES,
    encoding_of,
    name_of,
)
from agent.dataset.uid import derived_uid
from agent.objects.stored_image import StoredImage

_LONGEST_DERIVATION = 1024
_EXPLICIT = TRANSFER_SYNTAXES[EXPLICIT_VR_LITTLE_ENDIAN]


def loses(transfer_syntax_uid: str, settings: EncodeSettings) -> bool:
    """Whether encoding in this transfer syntax changes sample values."""
    if transfer_syntax_uid == JPEG_LS_NEAR_LOSSLESS:
        return settings.near > 0
    return encoding_of(transfer_syntax_uid).lossy


def instance_uid(image: StoredImage, transfer_syntax_uid: str, settings: EncodeSettings) -> str:
    """The SOP Instance UID of the copy: the same each time the same is made of the same."""
    seed = (image.text(tags.SOP_INSTANCE_UID), transfer_syntax_uid, *_what_counts(settings))
    return derived_uid("\n".join(map(str, ("lossy compression", *seed))).encode())


def attributes(
    image: StoredImage, transfer_syntax_uid: str, settings: EncodeSettings, ratio: float
) -> Changes:
    """The attributes of the copy that differ; `ratio` is the native length by the compressed."""
    method = LOSSY_COMPRESSION_METHODS[encoding_of(transfer_syntax_uid).family]
    changes: dict[int, tuple[str, bytes] | None] = {
        tags.SOP_INSTANCE_UID: (
            "UI",
            instance_uid(image, transfer_syntax_uid, settings).encode(),
        ),
        tags.IMAGE_TYPE: ("CS", _derived(image.text(tags.IMAGE_TYPE))),
        tags.DERIVATION_DESCRIPTION: ("ST", _description(image, transfer_syntax_uid, settings)),
        tags.LOSSY_IMAGE_COMPRESSION: ("CS", b"01"),
        tags.LOSSY_IMAGE_COMPRESSION_RATIO: (
            "DS",
            _added(image.text(tags.LOSSY_IMAGE_COMPRESSION_RATIO), f"{ratio:.4g}"),
        ),
        tags.LOSSY_IMAGE_COMPRESSION_METHOD: (
            "CS",
            _added(image.text(tags.LOSSY_IMAGE_COMPRESSION_METHOD), method),
        ),
    }
    return changes


def additions(image: StoredImage) -> Changes:
    """The attributes that the copy gets where it has none: what it was made of."""
    return {tags.SOURCE_IMAGE_SEQUENCE: ("SQ", _predecessor(image))}


def _what_counts(settings: EncodeSettings) -> tuple[int | str, ...]:
    return settings.quality, settings.near, settings.colour


def _derived(image_type: str) -> bytes:
    values = image_type.split("\\") if image_type else ["", "PRIMARY"]
    return "\\".join(("DERIVED", *values[1:])).encode("ascii", "replace")


def _added(values: str, value: str) -> bytes:
    return (f"{values}\\{value}" if values else value).encode("ascii", "replace")


def _description(image: StoredImage, uid: str, settings: EncodeSettings) -> bytes:
    """What was there before, and what was done; what was there stays in its character set."""
    how = f"near {settings.near}" if uid == JPEG_LS_NEAR_LOSSLESS else f"quality {settings.quality}"
    told = f"Lossy compression: {name_of(uid)}, {how}".encode()
    before = image.value(tags.DERIVATION_DESCRIPTION).rstrip(b" \0")
    whole = before + b"; " + told if before else told
    return whole if len(whole) <= _LONGEST_DERIVATION else told


def _predecessor(image: StoredImage) -> bytes:
    """Source Image Sequence: the image as it was (CID 7202, Uncompressed predecessor)."""
    purpose = _item(
        (0x0008_0100, "SH", b"121320"),
        (0x0008_0102, "SH", b"DCM"),
        (0x0008_0104, "LO", b"Uncompressed predecessor"),
    )
    return _item(
        (0x0008_1150, "UI", image.text(tags.SOP_CLASS_UID).encode("ascii", "replace")),
        (0x0008_1155, "UI", image.text(tags.SOP_INSTANCE_UID).encode("ascii", "replace")),
        (0x0040_A170, "SQ", purpose),
    )


def _item(*elements: tuple[int, str, bytes]) -> bytes:
    content = b"".join(encode_element(tag, vr, value, _EXPLICIT) for tag, vr, value in elements)
    return item_header(len(content), True) + content
