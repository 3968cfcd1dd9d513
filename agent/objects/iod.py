"""What a row of the table of IODs says (PS3.3 annex A).

A row names the modules that are written, in the order of the IOD's table, and the pixels that the
IOD allows. Modules of usage U for which the box has no facts are not named.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.errors import LocalError
from agent.objects.pixels import PixelDescription, PixelRule

PATIENT_TO_EQUIPMENT = (
    "Patient",
    "General Study",
    "Patient Study",
    "General Series",
    "General Equipment",
)
IMAGE = (*PATIENT_TO_EQUIPMENT, "General Acquisition", "General Image", "Image Pixel")
CLIP = (*IMAGE, "Cine", "Multi-frame")
EIGHT = ((8,), (8, 8))
"""Bits of most pixel rules: eight of eight."""


@dataclass(frozen=True, slots=True)
class Iod:
    """One row. `modality` and `image_type` are the defaults.

    `multi_frame` says that an object always has the Multi-frame Module, `may_be_multi_frame` that
    it has it when it is begun as a clip. `pixel_rules` is empty of what is no image.
    """

    sop_class_uid: str
    clause: str
    modality: str
    image_type: tuple[str, ...]
    modules: tuple[str, ...]
    multi_frame: bool = False
    pixel_rules: tuple[PixelRule, ...] = ()
    may_be_multi_frame: bool = False

    def check(self, pixels: PixelDescription, *, encapsulated: bool) -> None:
        """Raises LocalError for pixels that the IOD does not allow."""
        pixels.check()
        if not any(rule.allows(pixels, encapsulated=encapsulated) for rule in self.pixel_rules):
            raise LocalError(
                f"{pixels.photometric_interpretation} with {pixels.bits_stored} of "
                f"{pixels.bits_allocated} bits is not allowed in this kind of object.",
                clause=f"PS3.3 {self.clause}",
                value=pixels,
                limit=self.pixel_rules,
                way_out="Convert the pixels, or choose another SOP class.",
            )
