"""What is settled of an image before its first frame: is it allowed, and what does its head say."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from agent.dataset.transfer_syntaxes import LOSSY_COMPRESSION_METHODS, TransferSyntax
from agent.dataset.uid import derived_uid
from agent.errors import LocalError
from agent.objects.description import (
    Cine,
    DeviceIdentity,
    ExaminationIdentity,
    InstanceDescription,
)
from agent.objects.geometry import Geometry
from agent.objects.head import Head, compose
from agent.objects.iod import Iod
from agent.objects.iods import iod_of
from agent.objects.module import Facts, ObjectFacts
from agent.objects.pixels import PixelDescription


class Prepared(NamedTuple):
    """What is known of an image before its first frame."""

    iod: Iod
    facts: Facts
    head: Head


def prepare(
    sop_class_uid: str,
    identity: ExaminationIdentity,
    pixels: PixelDescription,
    device: DeviceIdentity,
    instance: InstanceDescription,
    cine: Cine | None,
    transfer_syntax: TransferSyntax,
) -> Prepared:
    """The head of an image, not written yet. Raises LocalError as `begin` does."""
    iod = iod_of(sop_class_uid)
    if transfer_syntax.deflated:
        raise LocalError(
            "A deflated data set cannot be completed at its end.",
            clause="PS3.5 A.5",
            value=transfer_syntax.uid,
        )
    iod.check(pixels, encapsulated=transfer_syntax.encapsulated)
    for region in instance.ultrasound_regions:
        region.check(pixels.rows, pixels.columns)
    if iod.multi_frame and cine is None:
        if not iod.may_be_multi_frame:
            raise LocalError("A multi-frame object needs its frame time.", clause="PS3.3 C.7.6.5")
        cine = Cine(0.0)  # C.7.6.6.1.2: how a single frame has a Frame Increment Pointer
    multi_frame = cine is not None and (iod.multi_frame or iod.may_be_multi_frame)
    if "Image Plane" in iod.modules and instance.geometry is None:
        instance = _with_nominal_plane(instance, iod)
    facts = Facts(
        identity.patient,
        identity.study,
        identity.series,
        device,
        instance,
        _with_compression(pixels, transfer_syntax),
        cine if multi_frame else None,
        ObjectFacts(
            sop_class_uid,
            identity.series.modality or iod.modality,
            iod.image_type if instance.image_type is None else instance.image_type,
            multi_frame,
            iod.modules,
            transfer_syntax.encapsulated,
        ),
        identity.character_set,
    )
    return Prepared(iod, facts, compose(iod, facts, identity.additional, transfer_syntax))


def _with_nominal_plane(instance: InstanceDescription, iod: Iod) -> InstanceDescription:
    """C.7.6.2 leaves no plane unknown: a plane in a frame of reference that no other object shares.

    The object says that it is derived and that its lengths mean nothing.
    """
    plane = Geometry(
        derived_uid(instance.sop_instance_uid.encode("ascii")),
        (1.0, 1.0),
        (1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
        (0.0, 0.0, 0.0),
    )
    return dataclasses.replace(
        instance,
        geometry=plane,
        image_type=instance.image_type or ("DERIVED", *iod.image_type[1:]),
        derivation_description=instance.derivation_description
        or "Saved capture: pixel spacing, position and orientation are not known",
    )


def _with_compression(
    pixels: PixelDescription, transfer_syntax: TransferSyntax
) -> PixelDescription:
    """What the transfer syntax takes from the pixels is said of them."""
    method = LOSSY_COMPRESSION_METHODS.get(transfer_syntax.family)
    if not transfer_syntax.lossy or method is None or pixels.lossy == "01":
        return pixels
    return dataclasses.replace(pixels, lossy="01", compression_method=method)
