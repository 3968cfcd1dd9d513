"""What the conformance statement says of de-identification (PS3.15 E.1.3, PS3.2 N.8.4.4)."""

from __future__ import annotations

from collections.abc import Iterator

from agent.configuration.configuration import Configuration
from agent.configuration.deidentification import OPTIONS, Deidentify
from agent.security.confidentiality_table import rows
from agent.security.encrypted_attributes import LONGEST_CONTENT
from agent.security.pseudonyms import LONGEST_SHIFT
from agent.security.safe_private import creators

_HOW = (
    (
        "Attributes protected",
        "all of Table E.1-1 ({rows} rows), at every level; beside it names, URLs, comments and "
        "numbers of orders and devices that it does not have, dates and UIDs by their VR, and "
        "elements that PS3.6 does not know",
    ),
    ("Codes with a choice (X/Z, X/D, Z/D, X/Z/D)", "the last of them; X/Z/U* as U"),
    (
        "Patient's Name, Patient ID",
        "a pseudonym by HMAC-SHA-256 under a secret key, or from a table; the same for all objects "
        "of a patient",
    ),
    (
        "UIDs",
        "under 2.25, by HMAC-SHA-256 under the same key: the same whenever and wherever it is "
        "done, so that references between objects hold",
    ),
    (
        "Dummy values",
        "REMOVED for text, 1900-01-01 for dates, zero for numbers, an empty document for an "
        "encapsulated one",
    ),
    (
        "Modified dates",
        "all dates of a patient moved back by the same 1 to {shift} days, which follow from the "
        "key; times of day stay",
    ),
    (
        "Clean Descriptors",
        "words of a list of modalities, techniques and body parts stay, and numbers with a unit; "
        "codes of published coding schemes stay; what quotes a name, ID or date of the object goes "
        "whatever the options",
    ),
    (
        "Clean Structured Content",
        "the tree stays; text, persons, dates, UIDs and what is said of the patient are replaced "
        "in place",
    ),
    (
        "Clean Graphics",
        "annotations keep their shapes and the words that Clean Descriptors would keep; overlays "
        "stay where they are regions of interest",
    ),
    (
        "Clean Pixel Data",
        "masks by device; else writing that is found; an image that may have some that is not "
        "found is refused",
    ),
    (
        "Clean Recognizable Visual Features",
        "masks by device; an image that may show a face is refused without one",
    ),
    ("Retain Safe Private", "of {creators}; and what an object itself declares as safe"),
    (
        "Encrypted Attributes",
        "on demand: Enveloped-data (AES-256-CBC, RSA PKCS #1 v1.5) around Explicit VR Little "
        "Endian, at most {longest} MiB; AES and Triple-DES are read; any length of RSA keys that "
        "the library takes",
    ),
    ("Re-identifier", "gantry deidentify --reidentify"),
)


def confidentiality(configuration: Configuration) -> Iterator[str]:
    """The section that a configuration with ways to de-identify has reason for."""
    ways = configuration.deidentifications
    if not ways:
        return
    yield ""
    yield "## Attribute confidentiality profiles (PS3.15 E)"
    yield ""
    yield "Basic Application Level Confidentiality Profile, as de-identifier, with options:"
    yield ""
    yield f"| option | {' | '.join(each.name for each in ways)} |"
    yield f"|---|{'---|' * len(ways)}"
    for option in OPTIONS:
        yield f"| {option} | {' | '.join('Y' if option in e.options else 'N' for e in ways)} |"
    yield f"| used by | {' | '.join(_used_by(each, configuration) for each in ways)} |"
    yield ""
    yield "| item | value |"
    yield "|---|---|"
    for item, text in _HOW:
        told = text.format(
            rows=len(rows()) + 1,
            shift=LONGEST_SHIFT,
            creators=", ".join(creators()),
            longest=LONGEST_CONTENT >> 20,
        )
        yield f"| {item} | {told} |"


def _used_by(way: Deidentify, configuration: Configuration) -> str:
    routes = [each.name for each in configuration.routes if each.deidentify == way.name]
    return ", ".join((*(f"route {each}" for each in routes), "exports and commands that name it"))
