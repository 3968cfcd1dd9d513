"""Whether what a media creation request asks for can be on media, instance by instance (PS3.4 S).

It is looked at when the request is carried out (S.3.2.1.3, note 1), so that N-GET can tell of each
instance what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from agent.archive.records import Instance
from agent.dataset.attributes import Attributes
from agent.dataset.transfer_syntaxes import encoding_of
from agent.media.application_profiles import PROFILES, Profile
from agent.media.directory_records import Key, record_type_of
from agent.services.media_creation import Wanted
from agent.services.media_creation_table import (
    CLASS_INSTANCE_CONFLICT,
    CLASS_NOT_SUPPORTED,
    NO_SUCH_INSTANCE,
    PROFILE_COMPRESSION_CONFLICT,
    PROFILE_INSTANCE_CONFLICT,
    PROFILE_NOT_SUPPORTED,
    PROFILES_CONFLICT,
)
from agent.services.storage_commitment import Failure, Reference


class Rules(NamedTuple):
    """What is allowed: `profiles` that may be asked for (none: all that can be written), the one
    `default`, whether the request forbids lossy compression, and whether images of discs are made,
    which are never UDF."""

    default: str
    profiles: tuple[str, ...] = ()
    lossy_is_forbidden: bool = False
    are_images: bool = False


class Checked(NamedTuple):
    """Either `info` is NORMAL and each instance has its profile, or instances `failed`."""

    info: str
    failed: tuple[Failure, ...] = ()
    profiles: tuple[Profile, ...] = ()


_INFO_OF_REASON: Mapping[int, str] = {
    NO_SUCH_INSTANCE: "NO_INSTANCE",
    CLASS_NOT_SUPPORTED: "NOT_SUPPORTED",
    PROFILE_NOT_SUPPORTED: "NOT_SUPPORTED",
    CLASS_INSTANCE_CONFLICT: "INST_AP_CONFLICT",
    PROFILES_CONFLICT: "INST_AP_CONFLICT",
    PROFILE_INSTANCE_CONFLICT: "INST_AP_CONFLICT",
    PROFILE_COMPRESSION_CONFLICT: "INST_AP_CONFLICT",
}
"""Execution Status Info by the first of these reasons that an instance has failed for."""


def wanted_of(request: Attributes) -> list[Wanted]:
    """The instances of a request, in its order."""
    return [
        Wanted(
            Reference(item.text("ReferencedSOPClassUID"), item.text("ReferencedSOPInstanceUID")),
            item.text("RequestedMediaApplicationProfile"),
        )
        for item in request.items_of("ReferencedSOPSequence")
    ]


def info_of(failed: Sequence[Failure]) -> str:
    """What N-GET says of a request in which these have failed."""
    reasons = {each.reason for each in failed}
    return next(
        (info for reason, info in _INFO_OF_REASON.items() if reason in reasons), "PROC_FAILURE"
    )


def check_request(wanted: Sequence[Wanted], here: Mapping[str, Instance], rules: Rules) -> Checked:
    """What can be said before anything is written; `here` are the instances by UID."""
    uids = [each.reference.sop_instance_uid for each in wanted]
    if len(set(uids)) < len(uids):
        return Checked("DUPL_REF_INST")
    # Who names none gets that of the others: one request is for one kind of medium.
    named = next((each.profile for each in wanted if each.profile), rules.default)
    names = [(each.profile or named).upper() for each in wanted]
    first = PROFILES.get(names[0]) if names else None
    failed = tuple(_failures(wanted, names, here, rules, first.medium if first else ""))
    if failed:
        return Checked(info_of(failed), failed)
    return Checked("NORMAL", (), tuple(PROFILES[name] for name in names))


def _failures(
    wanted: Sequence[Wanted],
    names: Sequence[str],
    here: Mapping[str, Instance],
    rules: Rules,
    medium: str,
) -> Iterator[Failure]:
    for each, name in zip(wanted, names, strict=True):
        instance = here.get(each.reference.sop_instance_uid)
        reason = _reason(each.reference, instance, name, rules, medium)
        if reason:
            yield Failure(each.reference, reason)


def _reason(
    reference: Reference, instance: Instance | None, name: str, rules: Rules, medium: str
) -> int:
    """The Failure Reason of one instance, 0 where there is none."""
    profile = PROFILES.get(name)
    if instance is None:
        return NO_SUCH_INSTANCE
    if instance.sop_class_uid != reference.sop_class_uid:
        return CLASS_INSTANCE_CONFLICT
    if profile is None or (rules.profiles and name not in rules.profiles):
        return PROFILE_NOT_SUPPORTED
    if rules.are_images and profile.wants_udf:
        return PROFILE_NOT_SUPPORTED
    if record_type_of(instance.sop_class_uid) is None:
        return CLASS_NOT_SUPPORTED
    if profile.medium != medium:
        return PROFILES_CONFLICT
    if profile.classes is not None and instance.sop_class_uid not in profile.classes:
        return PROFILE_INSTANCE_CONFLICT
    if rules.lossy_is_forbidden and _compresses_with_loss(profile, instance):
        return PROFILE_COMPRESSION_CONFLICT
    return 0


def _compresses_with_loss(profile: Profile, instance: Instance) -> bool:
    """Whether the profile's only compression is lossy, and the image is not compressed so yet.

    What is lossy already may be used as it is (S.3.2.1.1.9).
    """
    kind = record_type_of(instance.sop_class_uid)
    syntaxes = profile.syntaxes
    if profile.classes is not None:
        syntaxes = profile.classes[instance.sop_class_uid]
    compressed = [each for each in map(encoding_of, syntaxes) if each.encapsulated]
    return (
        kind is not None
        and kind.name == "IMAGE"
        and bool(compressed)
        and all(each.lossy for each in compressed)
        and not encoding_of(instance.transfer_syntax_uid).lossy
    )


def united(profiles: Sequence[Profile]) -> Profile:
    """One profile for a medium with instances of several (S.3.2.1.1.2, note 1): its directory has
    the keys of all, each as strict as the strictest wants it."""
    each_once = list(dict.fromkeys(each.name for each in profiles))
    if len(each_once) == 1:
        return profiles[0]
    chosen = [PROFILES[name] for name in each_once]
    classes: dict[str, tuple[str, ...]] = {}
    syntaxes: dict[str, None] = {}
    keys: dict[str, dict[str, Key]] = {}
    for profile in chosen:
        syntaxes.update(dict.fromkeys(profile.syntaxes))
        for uid, allowed in (profile.classes or {}).items():
            classes[uid] = tuple(dict.fromkeys((*classes.get(uid, ()), *allowed)))
            syntaxes.update(dict.fromkeys(allowed))
        for record, rows in profile.keys.items():
            known = keys.setdefault(record, {})
            for row in rows:
                before = known.get(row.keyword)
                known[row.keyword] = row if before is None else min(before, row, key=_strictness)
    return Profile(
        " and ".join(each_once),
        chosen[0].clause,
        chosen[0].medium,
        tuple(syntaxes),
        None if any(each.classes is None for each in chosen) else classes,
        {record: tuple(rows.values()) for record, rows in keys.items()},
        max(each.icon for each in chosen),
    )


def _strictness(key: Key) -> int:
    return ("1", "1C", "2", "2C", "3").index(key.type)
