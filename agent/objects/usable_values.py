"""What an examination can use of a worklist entry whose values are not as PS3.5 6.2 wants them.

Systems of others send descriptions that are too long and codes that are none. An examination must
not fail by them, least of all when its images are to be kept: texts are cut, other values left out.
But an identifier that is cut is another one, and what has it is nobody's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from agent.dataset import tags
from agent.dataset.attributes import Attribute, Attributes, Value
from agent.dataset.uid import is_valid_uid
from agent.dataset.value_representations import LONGEST, VALUE_REPRESENTATIONS
from agent.errors import LocalError

IDENTIFYING = frozenset(
    tags.from_text(each)
    for each in (
        "AccessionNumber",
        "AdmissionID",
        "FillerOrderNumberImagingServiceRequest",
        "IssuerOfPatientID",
        "PatientID",
        "PatientName",
        "PlacerOrderNumberImagingServiceRequest",
        "RequestedProcedureID",
        "ScheduledProcedureStepID",
        "StudyInstanceUID",
    )
)
"""Never cut and never left out."""
_NUMBERS: dict[str, Callable[[str], float]] = {"DS": float, "IS": int}
_OF_CODES = frozenset(tags.from_text(each) for each in ("CodeValue", "CodingSchemeDesignator"))
"""A code that loses one of them is none any more (PS3.3 8.1)."""


def usable(entry: Attributes) -> tuple[Attributes, tuple[str, ...]]:
    """A copy with only such values as objects and steps can hold; what was cut or left out.

    Raises LocalError where an identifier (`IDENTIFYING`) cannot be held.
    """
    made = entry.copy()
    return made, tuple(_mend(made))


def fits(vr: str, value: Value) -> bool:
    """Whether one value is what its VR allows (PS3.5 Table 6.2-1)."""
    return _fitting(vr, value) == value


def _mend(attributes: Attributes) -> Iterator[str]:
    for tag in tuple(attributes):
        vr, values = attributes[tag]
        name = tags.keyword_of(tag) or tags.format_tag(tag)
        if vr == "SQ":
            whole: list[Attributes] = []
            for item in attributes.items_of(tag):
                was_code = _is_code(item)
                yield from (f"{name}: {each}" for each in _mend(item))
                if _is_code(item) or not was_code:
                    whole.append(item)
            attributes.put(tag, Attribute(vr, tuple(whole)))
            continue
        kept = tuple(_fitting(vr, each) for each in values)
        if kept == values:
            continue
        if tag in IDENTIFYING:
            raise LocalError(
                f"{name} is longer than {vr} allows, or has other characters",
                clause="PS3.5 6.2",
                limit=LONGEST.get(vr),
                way_out="Have it put right where it comes from. An examination can begin as an "
                "emergency meanwhile, and be reconciled.",
            )
        if None in kept or tag in _OF_CODES:
            attributes.remove(tag)
            yield f"{name} left out"
        else:
            attributes.put(tag, Attribute(vr, tuple(each for each in kept if each is not None)))
            yield f"{name} cut"


def _fitting(vr: str, value: Value) -> Value | None:
    """The value, or what fits of it; None where nothing does."""
    row = VALUE_REPRESENTATIONS.get(vr)
    if row is None or not row.text:
        return value if isinstance(value, (int, float, bytes)) else None
    text, longest = str(value), LONGEST.get(vr)
    if not text or longest is None:
        return value
    if not row.character_set:
        return value if len(text) <= longest and _is_sound(vr, text) else None
    if len(text) <= longest:
        return value
    if vr == "PN":
        groups = text.split("=")
        return "=".join(each[:longest].rstrip() for each in groups)
    return text[:longest].rstrip()


def _is_sound(vr: str, text: str) -> bool:
    if vr == "UI":
        return is_valid_uid(text)
    if vr not in _NUMBERS:
        return text.isascii()
    try:
        _NUMBERS[vr](text)
    except ValueError:
        return False
    return text.isascii()


def _is_code(item: Attributes) -> bool:
    return all(item.has(each) for each in _OF_CODES)
