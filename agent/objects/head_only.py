"""Objects without pixels: everything is in the head, or what is bulky follows it.

`facts_without_pixels` is what the tables need to know of them; `write_object` writes one whose
content is at hand: a key object selection, a presentation state, a structured report.
"""

from __future__ import annotations

from collections.abc import Mapping

from agent.dataset.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, TransferSyntax, encoding_of
from agent.errors import LocalError, StorageError
from agent.objects.composite import FinishedObject
from agent.objects.description import DeviceIdentity, ExaminationIdentity, InstanceDescription
from agent.objects.element import Element
from agent.objects.head import collect, encode
from agent.objects.iod import Iod
from agent.objects.iods import iod_of
from agent.objects.module import Facts, ObjectFacts
from agent.objects.output import OutputFile


def facts_without_pixels(
    iod: Iod, identity: ExaminationIdentity, device: DeviceIdentity, instance: InstanceDescription
) -> Facts:
    """The facts of an object that is no image."""
    modality = identity.series.modality or iod.modality
    kind = ObjectFacts(iod.sop_class_uid, modality, (), False, iod.modules)
    return Facts(
        identity.patient,
        identity.study,
        identity.series,
        device,
        instance,
        None,
        None,
        kind,
        identity.character_set,
    )


def elements_of_object(
    sop_class_uid: str,
    identity: ExaminationIdentity,
    device: DeviceIdentity,
    instance: InstanceDescription,
    content: Mapping[int, Element],
    transfer_syntax: TransferSyntax,
) -> dict[int, Element]:
    """All elements of an object without pixels; `content` wins over all else.

    Raises LocalError when a mandatory value is missing, for an image's SOP class, and for a
    transfer syntax of pixels.
    """
    iod = iod_of(sop_class_uid)
    if iod.pixel_rules:
        raise LocalError("An image needs its pixels.", clause=f"PS3.3 {iod.clause}", value=iod)
    if transfer_syntax.encapsulated or transfer_syntax.deflated:
        raise LocalError(
            "An object without pixels is not written in this transfer syntax.",
            clause="PS3.5 10",
            value=transfer_syntax.uid,
        )
    facts = facts_without_pixels(iod, identity, device, instance)
    return collect(iod, facts, {**identity.additional, **content})


def write_object(
    descriptor: int,
    sop_class_uid: str,
    identity: ExaminationIdentity,
    device: DeviceIdentity,
    instance: InstanceDescription,
    content: Mapping[int, Element],
    *,
    file_meta: bytes = b"",
    transfer_syntax_uid: str = EXPLICIT_VR_LITTLE_ENDIAN,
) -> FinishedObject:
    """Write a whole object at the end of a regular file.

    `file_meta` as of `composite.begin`. Memory: the encoded object twice. Raises LocalError when
    something mandatory is missing or breaks its VR (nothing is written then), StorageError when
    the file cannot be written (what was written is taken back).
    """
    transfer_syntax = encoding_of(transfer_syntax_uid)
    elements = elements_of_object(
        sop_class_uid, identity, device, instance, content, transfer_syntax
    )
    head = encode(elements, transfer_syntax)
    file = OutputFile(descriptor)
    try:
        file.append([file_meta, head.data])
        file.seek_end()
    except StorageError:
        file.take_back()
        raise
    return FinishedObject(
        sop_class_uid,
        instance.sop_instance_uid,
        transfer_syntax_uid,
        0,
        file.started_at + len(file_meta),
        None,
        file.position,
    )
