"""De-identification: copies of objects that do not tell whose they are (PS3.15 annex E)."""

from __future__ import annotations

from agent.configuration.key import key, section
from agent.configuration.kinds import (
    Choice,
    Flag,
    ListOf,
    Mapped,
    Path,
    Tables,
    Text,
    count,
    identifier,
)
from agent.configuration.names import Attribute
from agent.configuration.secrets import Secret, SecretPlace

OPTIONS = (
    "clean-pixel-data",
    "clean-recognizable-visual-features",
    "clean-graphics",
    "clean-structured-content",
    "clean-descriptors",
    "retain-full-dates",
    "retain-modified-dates",
    "retain-patient-characteristics",
    "retain-device-identity",
    "retain-uids",
    "retain-safe-private",
    "retain-institution-identity",
)
"""The options of PS3.15 E.3."""


def _rectangle(value: object) -> tuple[int, ...]:
    numbers = tuple(value) if isinstance(value, list) else ()
    whole = all(isinstance(each, int) and not isinstance(each, bool) for each in numbers)
    if len(numbers) != 4 or not whole or min(numbers) < 0 or not numbers[2] or not numbers[3]:
        raise ValueError("four whole numbers, width and height above 0")
    return numbers


@section
class NewValue:
    """A value that copies get whatever they had, at the top level."""

    attribute: int = key(Attribute(), "the attribute")
    value: str = key(Text(1024), "its value in every copy; several are parted by a backslash")


@section
class Mask:
    """What is blacked out in the images of a device. Nothing given fits every image; of several
    masks that fit, all are taken."""

    modality: str = key(Text(16), "Modality (0008,0060)", default="", default_text="any")
    manufacturer: str = key(
        Text(64), "Manufacturer (0008,0070), with * and ?", default="", default_text="any"
    )
    model: str = key(
        Text(64),
        "Manufacturer's Model Name (0008,1090), with * and ?",
        default="",
        default_text="any",
    )
    rows: int = key(count(1, 65535, zero="any"), "Rows (0028,0010)", default=0)
    columns: int = key(count(1, 65535, zero="any"), "Columns (0028,0011)", default=0)
    hides: str = key(
        Choice("writing", "features"),
        "what is there: writing (for clean-pixel-data), or what makes a person recognizable (for "
        "clean-recognizable-visual-features)",
        default="writing",
    )
    rectangles: tuple[tuple[int, ...], ...] = key(
        ListOf(Mapped("[left, top, width, height] in pixels", _rectangle, list)),
        "what is blacked out; none at all says that there is nothing to hide",
        default=(),
        example="[[0, 0, 640, 48]]",
    )


@section
class Deidentify:
    """A way to de-identify: named by routes, exports and `gantry deidentify`."""

    name: str = key(identifier(), "its name in this configuration")
    enabled: bool = key(Flag(), "false switches it off", default=True)
    description: str = key(Text(256), "for people", default="")
    options: tuple[str, ...] = key(
        ListOf(Choice(*OPTIONS)),
        "options of the Basic Application Level Confidentiality Profile (PS3.15 E.3)",
        default=(),
        example='["retain-modified-dates", "clean-descriptors"]',
    )
    secret: Secret = key(
        SecretPlace(),
        "from which pseudonyms, UIDs and shifts of dates follow, at least 16 bytes: whoever has it "
        "makes the same ones",
        example='{ file = "/etc/gantry/pseudonyms.key" }',
    )
    pseudonyms: str = key(
        Path(),
        "a table of Patient ID, new Patient ID, new Patient's Name, parted by commas",
        default="",
        default_text="all follow from the secret",
        example='"/etc/gantry/pseudonyms.csv"',
    )
    values: tuple[NewValue, ...] = key(
        Tables(NewValue, named=False),
        "values that all copies get",
        default=(),
        name="set",
        example='[{ attribute = "PatientName", value = "Trial^Subject" }]',
    )
    encrypt_for: tuple[str, ...] = key(
        ListOf(Path(optional=False), maximum=64),
        "certificates (RSA, PEM or DER) of those who may have the original attributes back: these "
        "go encrypted with each copy (PS3.15 E.1.1)",
        default=(),
        example='["/etc/gantry/trial-office.pem"]',
    )
    masks: tuple[Mask, ...] = key(
        Tables(Mask, named=False),
        "what is blacked out in images, by device",
        default=(),
        name="mask",
        example='[{ modality = "US", columns = 640, rectangles = [[0, 0, 640, 48]] }]',
    )
    recognise: bool = key(
        Flag(),
        "with clean-pixel-data: writing is looked for in images that no mask is for",
        default=True,
    )
