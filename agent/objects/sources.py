"""Where values come from that are no path into the facts, and the conditions of rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from agent.dataset.uid import derived_uid
from agent.objects.anatomy import REGIONS, region_of
from agent.objects.module import Facts
from agent.objects.references import Code


class Patched(NamedTuple):
    """A value known only when the object is finished: room is left for it, and filled then."""

    name: str
    width: int


PATCHED: Mapping[str, Patched] = {
    # The longest IS is 12 characters and the longest DS 16; trailing spaces are padding in both.
    "patched.number_of_frames": Patched("number_of_frames", 12),
    "patched.frame_time": Patched("frame_time", 16),
    "patched.compression_ratio": Patched("compression_ratio", 16),
}


def _samples(facts: Facts) -> int:
    return 0 if facts.pixels is None else facts.pixels.samples_per_pixel


CONDITIONS: Mapping[str, Callable[[Facts], bool]] = {
    "several samples": lambda facts: _samples(facts) > 1,
    "one sample": lambda facts: _samples(facts) == 1,
    "one sample of several bits": lambda facts: (
        facts.pixels is not None
        and facts.pixels.samples_per_pixel == 1
        and facts.pixels.bits_stored > 1
    ),
    "cine": lambda facts: facts.cine is not None,
    "multi-frame": lambda facts: facts.object.multi_frame,
    "geometry": lambda facts: facts.instance.geometry is not None,
    "derived": lambda facts: facts.object.image_type[:1] == ("DERIVED",),
    "table of a scanner": lambda facts: bool({"CT Image", "MR Image"} & set(facts.object.modules)),
    "ultrasound regions": lambda facts: bool(facts.instance.ultrasound_regions),
}


def _acquired_date_time(facts: Facts) -> str:
    moment = facts.instance.acquired or facts.instance.created
    return moment.date + moment.time + moment.offset


def _compression_ratio(facts: Facts) -> object:
    """What is known; else what is measured while compressed frames are written."""
    pixels = facts.pixels
    if pixels is None or pixels.lossy != "01":
        return None
    if pixels.compression_ratio is None and facts.object.encapsulated:
        return PATCHED["patched.compression_ratio"]
    return pixels.compression_ratio


def _anatomic_region(facts: Facts) -> object:
    region = region_of(facts.series.body_part_examined)
    return None if region is None else (region.item(),)


DERIVED_SOURCES: Mapping[str, Callable[[Facts], object]] = {
    "burned_in_annotation": lambda facts: "YES" if facts.instance.burned_in_annotation else "NO",
    "colour_data_present": lambda facts: int(_samples(facts) > 1),
    "acquired_date_time": _acquired_date_time,
    "compression_ratio": _compression_ratio,
    "ultrasound_regions": lambda facts: tuple(
        region.item() for region in facts.instance.ultrasound_regions
    ),
    "source_images": lambda facts: tuple(image.item() for image in facts.instance.source_images),
    "compression_method": lambda facts: facts.pixels and facts.pixels.compression_method,
    "position_reference_indicator": lambda facts: (
        facts.instance.geometry and facts.instance.geometry.position_reference_indicator
    ),
    # C.7.3.1: not written beside Image Laterality.
    "series_laterality": lambda facts: (
        None
        if {"DX Anatomy Imaged", "Ocular Region Imaged"} & set(facts.object.modules)
        else facts.series.laterality
    ),
    "series_date": lambda facts: facts.series.date or facts.instance.created.date,
    "series_time": lambda facts: facts.series.time or facts.instance.created.time,
    # C.7.4.2: nothing is synchronised with the clock of this object, so it has one of its own.
    "own_synchronization_frame_of_reference": lambda facts: derived_uid(
        facts.instance.sop_instance_uid.encode("ascii")
    ),
    "anatomic_region": _anatomic_region,
    "anatomic_region_or_entire_body": lambda facts: (
        _anatomic_region(facts) or (REGIONS["WHOLEBODY"].item(),)
    ),
    "eye": lambda facts: (REGIONS["EYE"].item(),),
    "fundus_camera": lambda facts: (Code("409898007", "SCT", "Fundus Camera").item(),),
    "image_laterality": lambda facts: facts.series.laterality or "U",
    "presentation_lut_shape": lambda facts: (
        "INVERSE"
        if facts.pixels and facts.pixels.photometric_interpretation == "MONOCHROME1"
        else "IDENTITY"
    ),
    "middle_of_range": lambda facts: facts.pixels and float(1 << facts.pixels.bits_stored - 1),
    "width_of_range": lambda facts: facts.pixels and float(1 << facts.pixels.bits_stored),
}
"""Sources that are no path: a value that follows from others."""
